-- One request in twenty creates a session; the others carry the names of existing sessions.
local sessions, sent = {}, 0

function request()
  sent = sent + 1
  if #sessions == 0 or sent % 20 == 0 then return wrk.format("GET", "/new") end
  return wrk.format("GET", "/", { Cookie = "JSESSIONID=" .. sessions[math.random(#sessions)] })
end

function response(status, headers)
  local cookie = headers["Set-Cookie"]
  local name = cookie and cookie:match("JSESSIONID=(%x+)")
  if name and #sessions < 100000 then sessions[#sessions + 1] = name end
end
