-- Runs before a KEMI script in Lua: makes KSR, and what calls the script. natsroute.kamailio.kemi.lua_script runs it.
--
-- Python's lock is not held here, and waiting for it would take longer than everything else. So $natsData and what
-- publishes in KSR.nats need no call of Python: what a script publishes is kept, and Python takes it after a batch of
-- messages. It is not kept where the script may block, in a function written in C for example: then it leaves at once.

local exit, path, cpath, enter, publish_in_python, release_locks, print_in_python = ...
local type, tostring, select, unpack, xpcall, error = type, tostring, select, unpack or table.unpack, xpcall, error
local traceback, sethook, getinfo = debug.traceback, debug.sethook, debug.getinfo

-- Messages that are kept before Python takes them, and instructions after which it does in a long call.
local MAX_KEPT, MAX_INSTRUCTIONS = 500, 1000000

local callback, event_name, data
local index, entered = 0, 0 -- of the event, and of the one that Python knows of
local keeps, may_block = false, false
local has_locked = false
local kept, size = {}, 0 -- subject, payload and reply subject or false, one after the other

KSR = {x = {}}
KSRVERSION = "2.0"

local function flush()
    if size > 0 then
        local messages, last = kept, size
        kept, size = {}, 0
        publish_in_python(unpack(messages, 1, last))
    end
end

local function stop_keeping()
    may_block, keeps = true, false
    flush()
end

-- What may wait.
local waits = {
    ["nats.request"] = true, ["htable.sht_lock"] = true, ["cfgutils.lock"] = true, ["cfgutils.trylock"] = true,
    ["cfgutils.sleep"] = true, ["cfgutils.usleep"] = true
}

local function define(package, name, call)
    local owner = KSR
    if package ~= "" then
        KSR[package] = KSR[package] or {}
        owner = KSR[package]
    end
    local function in_python(...)
        if entered ~= index then
            entered = index
            enter(index)
        end
        return call(...)
    end
    if package == "pv" and (name == "get" or name == "gete" or name == "getw") then
        owner[name] = function(expression, ...)
            if data and expression == "$natsData" then return data end
            return in_python(expression, ...)
        end
    elseif waits[package .. "." .. name] then
        owner[name] = function(...)
            stop_keeping() -- it may wait, and what was published before goes out first
            if package ~= "nats" then has_locked = true end
            return in_python(...)
        end
    elseif package == "nats" then
        owner[name] = function(subject, payload, reply, ...)
            if type(subject) ~= "string" or type(payload) ~= "string" or (reply and type(reply) ~= "string") or
                (name == "publish") == (reply ~= nil) then
                flush()
                return in_python(subject, payload, reply, ...) -- which says what is wrong with the arguments
            end
            kept[size + 1], kept[size + 2], kept[size + 3] = subject, payload, reply or false
            size = size + 3
            if not keeps or size >= MAX_KEPT * 3 then flush() end
            return 1
        end
    else
        owner[name] = in_python
    end
end

KSR.x.exit = function() error(exit, 0) end
KSR.x.drop = KSR.x.exit
KSR.x.probe = function() return true end
package.path = path:gsub("@", package.path, 1)
package.cpath = cpath:gsub("@", package.cpath, 1)
python = nil

-- From now on the script may block, and nothing is kept any more, if this function says so.
local function may_block_after(owner, name, is_so)
    local original = owner[name]
    if not original then return end
    owner[name] = function(...)
        if is_so(...) then may_block, keeps = true, false end
        flush()
        return original(...)
    end
end

function print(...)
    local texts = {...}
    for number = 1, select("#", ...) do texts[number] = tostring(texts[number]) end
    print_in_python(table.concat(texts, "\t"))
end

local function in_an_event() return index ~= 0 end -- to read a file while the script is loaded blocks no message
for _, name in ipairs {"open", "popen", "lines", "input", "output", "read", "tmpfile"} do
    may_block_after(io, name, in_an_event)
end
may_block_after(os, "execute", in_an_event)

-- Modules written in C that compute and do not wait.
local compute = {cjson = true, ["cjson.safe"] = true, lpeg = true, struct = true, lrexlib = true, zlib = true}
local function is_another(name) return not compute[name] end
may_block_after(package, "loadlib", is_another)
local loaders = package.loaders or package.searchers
for number = 3, #loaders do
    local load = loaders[number]
    loaders[number] = function(name)
        local found = load(name)
        if type(found) == "function" and is_another(name) then may_block, keeps = true, false end
        return found
    end
end

local function call() return callback(event_name) end
local function describe(problem)
    if problem == exit then return exit end
    return traceback(tostring(problem), 2)
end

-- Calls the callback for each of the payloads. Returns a table with the index and the error of each call that failed, or
-- nil, and then the messages that are kept.
local function run(name, ...)
    local count, payloads, failures = select("#", ...), {...}, nil
    event_name = name
    keeps = count > 1 and not may_block
    if keeps then sethook(flush, "", MAX_INSTRUCTIONS) end
    for number = 1, count do
        data, index, entered = payloads[number], number, 0
        local ended, problem = xpcall(call, describe)
        if has_locked then
            has_locked = false
            release_locks()
        end
        if not ended and problem ~= exit then
            failures = failures or {}
            failures[#failures + 1] = number
            failures[#failures + 1] = problem
        end
    end
    if keeps then sethook() end
    data, index, keeps = nil, 0, false
    local messages, last = kept, size
    kept, size = {}, 0
    return failures, unpack(messages, 1, last)
end

-- The line of a chunk that runs now, or nil.
local function line_of(chunk)
    local level = 2
    while true do
        local found = getinfo(level, "Sl")
        if not found then return nil end
        if found.source == chunk then return found.currentline end
        level = level + 1
    end
end

return define, run, function(name) callback = _G[name] return type(callback) end, line_of
