-- Every request makes a session.
function request()
  return wrk.format("GET", "/new")
end
