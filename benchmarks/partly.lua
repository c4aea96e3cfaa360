-- A stated share of the requests has one input, the others have one of their own.
-- Arguments: the path, the share from 0 to 1, and what to send besides the input.
local path, share, more
local first = os.time() % 1000000
local count = 0

init = function(arguments)
  path, share, more = arguments[1], tonumber(arguments[2]), arguments[3] or ""
  math.randomseed(os.time())
end

request = function()
  count = count + 1
  local number = math.random() < share and 0 or count
  local body = string.format('{"input": [%d.5, %d.25, 0.3, 0.4]%s}', number, first, more)
  return wrk.format("POST", path, {["Content-Type"] = "application/json"}, body)
end

done = function(summary, latency, requests)
  local errors = summary.errors
  print(string.format('{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "errors": %d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
