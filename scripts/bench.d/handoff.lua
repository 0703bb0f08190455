-- Every request creates a session.
function request()
  return wrk.format("GET", "/new")
end
