-- One request after another from a template: `@` in the body becomes a number that no other request has, so every start
-- is of another user; `#` becomes the next line of a file of names. The last line printed is the result, as JSON.
local names, count, body, first = {}, 0, "", 0

function init(arguments)
  body, first = arguments[1], tonumber(arguments[2])
  wrk.method = arguments[3]
  for line in arguments[4] and io.lines(arguments[4]) or function() end do names[#names + 1] = line end
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  count = count + 1
  local text = body:gsub("@", tostring(first + count))
  if #names > 0 then text = text:gsub("#", names[count % #names + 1]) end
  return wrk.format(nil, nil, nil, text)
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "refused": %d, "broken": %d, "p50_ms": %.4f, "p99_ms": %.4f}\n',
    summary.requests, summary.duration / 1e6, failed.status, failed.connect + failed.read + failed.write + failed.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
