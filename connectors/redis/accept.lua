-- Shows a job as accepted, unless it is known already.
-- KEYS[1] job; ARGV milliseconds to keep it, what is known of it
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
redis.call('HSET', KEYS[1], 'accepted', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
