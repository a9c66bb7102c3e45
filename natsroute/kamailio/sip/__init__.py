"""The SIP message that event routes see, and what SIP messages are made of."""
