-- natsroute's side of the transaction bridge as a KEMI script in Lua, instead of routes.py:
--
--   twistd -n natsroute --subject_queue_group sip-decide:natsroute --kemi_script decide.lua --event_callback on_nats
--
-- It answers a question about a call to "nobody" never; then Kamailio's failure_route decides.

local rules = {
    busy = '"action": "refuse", "code": 486, "reason": "Busy Here"',
    moved = '"action": "redirect", "code": 302, "reason": "Moved Temporarily", "uri": "sip:carol@example.net"',
    sales = '"action": "accept", "uri": "sip:desk7@example.com"',
}

function on_nats(evname)
    if evname ~= "nats:sip-decide" then
        return 1
    end
    local transaction = KSR.pv.get("$(natsData{json.parse,transaction})")
    -- It goes into the answer as it is.
    if not transaction:match("^%d+:%d+$") then
        KSR.err("a question about no transaction\n")
        return 1
    end
    local user = KSR.pv.get("$(natsData{json.parse,request_uri}{uri.user})")
    if user == "nobody" then
        KSR.notice("no decision for " .. KSR.pv.get("$(natsData{json.parse,call_id})") .. "\n")
        return 1
    end
    local decision = rules[user] or '"action": "accept"'
    local answer = '{"transaction": "' .. transaction .. '", ' .. decision .. '}'
    KSR.nats.publish(KSR.pv.get("$(natsData{json.parse,answer_to})"), answer)
    return 1
end
