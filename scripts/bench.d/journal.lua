-- A session made by one request in twenty; the others come with sessions that were made.
local made, asked = {}, 0

function request()
  asked = asked + 1
  if #made == 0 or asked % 20 == 0 then return wrk.format("GET", "/new") end
  return wrk.format("GET", "/", { Cookie = "JSESSIONID=" .. made[math.random(#made)] })
end

function response(status, headers)
  local cookie = headers["Set-Cookie"]
  local name = cookie and cookie:match("JSESSIONID=(%x+)")
  if name and #made < 100000 then made[#made + 1] = name end
end
