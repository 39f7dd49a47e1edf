-- Applies a batch of records to the read model and moves the projector's offsets, all or nothing.
-- Any order of records and any repeats give the same result: a field is written once, the state is that of the
-- highest rank, and counts move only when the state does.
--
-- KEYS[1] offsets
-- ARGV    prefix, samples kept,
--         moves, then per move: field, expected ('0' when absent), next
--         records, then per record:
--           job id, queue, milliseconds to keep once ended,
--           subject's field, subject, envelope's field or '', envelope,
--           digest or '', data hash, milliseconds to keep the completed key,
--           transitions, then per transition: field, rank, state, 1 if terminal else 0, time, transition
-- Returns 1, or 0 when a partition does not stand where it is expected: then nothing has been written.

local at = 0
local function take()
  at = at + 1
  return ARGV[at]
end

local prefix, samples = take(), tonumber(take())

local moves = {}
for _ = 1, tonumber(take()) do
  local field, expected, following = take(), take(), take()
  if (redis.call('HGET', KEYS[1], field) or '0') ~= expected then
    return 0
  end
  moves[#moves + 1] = field
  moves[#moves + 1] = following
end

local function change_state(id, queue, old, new, time)
  if old == new then
    return
  end
  local count = prefix .. 'count:' .. queue
  if old then
    redis.call('HINCRBY', count, old, -1)
    redis.call('ZREM', prefix .. 'sample:' .. queue .. ':' .. old, id)
  end
  redis.call('HINCRBY', count, new, 1)
  local sample = prefix .. 'sample:' .. queue .. ':' .. new
  redis.call('ZADD', sample, time, id)
  redis.call('ZREMRANGEBYRANK', sample, 0, -samples - 1)
end

-- The latest completion under a key is the one that counts: an earlier one had expired when it ran.
local function remember_completed(key, id)
  local known = redis.call('HMGET', key, 'digest', 'hash', 'key_keep', 'at')
  if not known[1] then
    return
  end
  local done = prefix .. 'done:' .. known[1]
  local before = redis.call('HGET', done, 'at')
  if not before or tonumber(before) <= tonumber(known[4]) then
    redis.call('HSET', done, 'job', id, 'hash', known[2], 'at', known[4])
    redis.call('PEXPIREAT', done, string.format('%.0f', tonumber(known[4]) + tonumber(known[3])))
  end
end

for _ = 1, tonumber(take()) do
  local id, queue, keep = take(), take(), take()
  local key = prefix .. 'job:' .. id
  local known = redis.call('HMGET', key, 'rank', 'state')
  local rank, state = tonumber(known[1] or '-1'), known[2]

  redis.call('HSETNX', key, take(), take())
  local envelope_field, envelope = take(), take()
  if envelope_field ~= '' then
    redis.call('HSETNX', key, envelope_field, envelope)
  end
  local digest, hash, key_keep = take(), take(), take()
  if digest ~= '' then
    redis.call('HSET', key, 'digest', digest, 'hash', hash, 'key_keep', key_keep)
  end

  local best, best_rank, best_state, best_terminal, best_time = rank, nil, state, nil, nil
  for _ = 1, tonumber(take()) do
    local field, its_rank, its_state, terminal, time, transition = take(), take(), take(), take(), take(), take()
    if redis.call('HSETNX', key, field, transition) == 1 and tonumber(its_rank) > best then
      best, best_rank, best_state, best_terminal, best_time = tonumber(its_rank), its_rank, its_state, terminal, time
    end
  end
  if best > rank then
    redis.call('HSET', key, 'rank', best_rank, 'state', best_state, 'at', best_time)
    change_state(id, queue, state, best_state, best_time)
    if best_terminal == '1' then
      redis.call('PEXPIRE', key, keep)
    else
      redis.call('PERSIST', key)
    end
  end
  if best_state == 'completed' then
    remember_completed(key, id)
  end
end

if #moves > 0 then
  redis.call('HSET', KEYS[1], unpack(moves))
end
return 1
