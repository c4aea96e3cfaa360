-- Every request has the body of a file with a number that no other has at one place of it.
-- Arguments: the file, its Content-Type, at which byte the number is, and the path.
local before, after, is_frame
local count = os.time() % 1000 * 4096

init = function(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  local body = file:read("*a")
  file:close()
  is_frame = arguments[2] == "application/octet-stream"
  local whole = wrk.format("POST", arguments[4], {["Content-Type"] = arguments[2]}, body)
  local place = #whole - #body + tonumber(arguments[3])
  before = whole:sub(1, place)
  after = whole:sub(place + 1 + (is_frame and 4 or 8))
end

request = function()
  count = count + 1
  if is_frame then
    -- The bytes of a float32 between 2^-3 and 2, which is finite whatever the count.
    local low, middle, high = count % 256, math.floor(count / 256) % 256, math.floor(count / 65536)
    return before .. string.char(low, middle, high % 256, 0x3f) .. after
  end
  return before .. string.format("1%07d", count % 10000000) .. after
end

done = function(summary, latency, requests)
  local errors = summary.errors
  print(string.format('{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "errors": %d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
