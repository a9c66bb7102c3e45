"""
natsroute's side of the transaction bridge as a KEMI script in Python, instead of routes.py.

    twistd -n natsroute --subject_queue_group sip-decide:natsroute \\
        --kemi_script decide.py --event_callback on_nats

It answers a question about a call to "nobody" never; then Kamailio's failure_route decides.
"""

import json

import KSR as KSR

# What becomes of calls to a user.
RULES = {
    "busy": {"action": "refuse", "code": 486, "reason": "Busy Here"},
    "moved": {"action": "redirect", "code": 302, "reason": "Moved Temporarily", "uri": "sip:carol@example.net"},
    "sales": {"action": "accept", "uri": "sip:desk7@example.com"},
}


def on_nats(evname):
    if evname != "nats:sip-decide":
        return 1
    question = json.loads(KSR.pv.get("$natsData"))
    user = question["request_uri"].removeprefix("sip:").partition("@")[0]
    if user == "nobody":
        KSR.notice(f"no decision for {question['call_id']}\n")
        return 1
    answer = {"transaction": question["transaction"], **RULES.get(user, {"action": "accept"})}
    KSR.nats.publish(question["answer_to"], json.dumps(answer))
    return 1
