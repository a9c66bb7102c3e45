-- event callback function implemented in Lua
function ksr_nats_event(evname)
	KSR.info("===== nats module received event: " .. evname ..
		", data:" .. KSR.pv.gete('$natsData') .. "\n");
	return 1;
end
