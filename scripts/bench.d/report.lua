-- One line for bench.py: requests, microseconds, requests that failed, 99th percentile in microseconds.
done = function(summary, latency, requests)
    local e = summary.errors
    local failed = e.connect + e.read + e.write + e.status + e.timeout
    io.write(string.format("bench %d %d %d %d\n", summary.requests, summary.duration, failed, latency:percentile(99)))
end
