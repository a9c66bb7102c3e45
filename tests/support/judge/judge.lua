-- The judge gets a question on the subject "judge", and then the payloads that it is about, each a message of its own.
--
-- A question is "NUMBER;COUNT;ASSIGNMENT,...;EXPRESSION,...": its own number, how many payloads follow, the variables to
-- set before each of them, and the expressions to evaluate on each of them. An assignment is "VARIABLE:KIND:VALUE",
-- with the kind "i" for an integer, "s" for a string or "n" for null. Expressions, variables and values are in
-- hexadecimal.
--
-- The answer to each payload goes to "judge.answer": the number of the question, ";", and for each expression "nil",
-- "i:" and a decimal, or "s:" and hexadecimal, separated by commas. What comes unasked is ignored.

local number, following, assignments, expressions = "", 0, {}, {}

local function unhex(text)
  return (text:gsub("..", function(digits) return string.char(tonumber(digits, 16)) end))
end

local function hex(text)
  return (text:gsub(".", function(char) return string.format("%02x", string.byte(char)) end))
end

local function learn(question)
  local its_number, count, to_set, to_evaluate = question:match("^(%d+);(%d+);([^;]*);([^;]*)$")
  if its_number == nil then return end
  number, following, assignments, expressions = its_number, tonumber(count), {}, {}
  for variable, kind, value in to_set:gmatch("(%x+):(%a):(%x*)") do
    assignments[#assignments + 1] = {unhex(variable), kind, unhex(value)}
  end
  for expression in to_evaluate:gmatch("%x+") do
    expressions[#expressions + 1] = unhex(expression)
  end
end

local function assign()
  for _, assignment in ipairs(assignments) do
    local variable, kind, value = assignment[1], assignment[2], assignment[3]
    if kind == "i" then
      KSR.pv.seti(variable, tonumber(value))
    elseif kind == "s" then
      KSR.pv.sets(variable, value)
    else
      KSR.pv.unset(variable)
    end
  end
end

local function judge()
  local found = {}
  for index, expression in ipairs(expressions) do
    local value = KSR.pv.get(expression)
    if value == nil then
      found[index] = "nil"
    elseif type(value) == "number" then
      found[index] = string.format("i:%d", value)
    else
      found[index] = "s:" .. hex(value)
    end
  end
  return number .. ";" .. table.concat(found, ",")
end

function ksr_request_route() return 1 end

function on_nats(name)
  if name == "nats:connected" then
    KSR.info("a process is connected\n")
  elseif name == "nats:judge" then
    if following == 0 then
      learn(KSR.pv.gete("$natsData"))
    else
      following = following - 1
      assign()
      KSR.nats.publish("judge.answer", judge())
    end
  end
  return 1
end
