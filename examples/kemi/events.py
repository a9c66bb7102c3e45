"""
A KEMI script in the convention of app_python3s: counts dialogs, and passes them on.

    twistd -n natsroute --subject_queue_group Kamailio-World:2021 \\
        --kemi_script events.py --event_callback ksr_nats_event
"""

import KSR as KSR

dialogs = 0


def ksr_nats_event(evname):
    global dialogs
    if evname == "nats:connected":
        KSR.info("connected\n")
        return 1
    if KSR.pv.get("$(natsData{json.parse,Event-Package})") == "dialog":
        dialogs += 1
        KSR.xlog.xinfo(f"dialog {dialogs}: update for $(natsData{{json.parse,From}})\n")
        KSR.nats.publish("presence.dialog", KSR.pv.gete("$natsData"))
    return 1
