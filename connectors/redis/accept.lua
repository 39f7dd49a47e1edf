-- Shows a job as accepted, unless it is known already.
-- KEYS[1] job, [2] what of it is long; ARGV milliseconds to keep it, its entry (see `entries.py`), and when that
-- has no content: its identity and the content
if not redis.call('SET', KEYS[1], ARGV[2], 'NX', 'PX', ARGV[1]) then
  return 0
end
if ARGV[3] then
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
  redis.call('PEXPIRE', KEYS[2], ARGV[1])
end
return 1
