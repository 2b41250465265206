-- Sends GET with the tokens of the file TOKENS, one after the other, and prints one line of JSON. Each connection
-- sends its next request at once, or after PAUSE milliseconds, give or take a half.
local requests, at = {}, 0

function init(args)
  for line in io.lines(os.getenv("TOKENS")) do
    wrk.headers["Authorization"] = "Bearer " .. line
    requests[#requests + 1] = wrk.format()
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

local pause = tonumber(os.getenv("PAUSE") or "")
if pause then
  function delay()
    return math.random(math.floor(pause / 2), math.floor(pause * 3 / 2))
  end
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('RESULT {"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"errors":%d}\n', summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
