"""
Crashes, cut connections, pauses and bursts from a seed, and a comparison of what was published with what was received.

Each run counts what was lost, what came twice and what came out of order, message by message.
"""
