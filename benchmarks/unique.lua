-- Every request has an input that no other has; the last line of the output is for programs.
local first = os.time() % 1000000
local count = 0
local path = "/sum/predict"

-- An argument is the application, `sum` where there is none.
init = function(arguments)
  if arguments[1] then path = "/" .. arguments[1] .. "/predict" end
end

request = function()
  count = count + 1
  local body = string.format('{"input": [%d.5, %d.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]}', count, first)
  return wrk.format("POST", path, {["Content-Type"] = "application/json"}, body)
end

done = function(summary, latency, requests)
  local errors = summary.errors
  print(string.format('{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "errors": %d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
