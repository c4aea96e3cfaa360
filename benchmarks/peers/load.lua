-- Requests from a template: wrk -s load.lua URL -- TEMPLATE_FILE RUN unique|same
-- The last line of the output is for programs.
local head, tail, same
local count = 0

local function placed(number)
  return string.format("0.1%06d", number % 1000000)
end

function init(args)
  local file = assert(io.open(args[1]))
  local body = file:read("*a"):gsub("0%.1999999", placed(tonumber(args[2])))
  file:close()
  same = args[3] == "same"
  -- Lengths are fixed: the request is made once, and cut where its own number belongs.
  local whole = wrk.format("POST", nil, {["Content-Type"] = "application/json"}, body)
  local first, last = whole:find("0.1777777", 1, true)
  head, tail = whole:sub(1, first - 1), whole:sub(last + 1)
end

function request()
  if not same then
    count = count + 1
  end
  return head .. placed(count) .. tail
end

function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format('{"answered": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "errors": %d}',
    summary.requests - errors.status, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
