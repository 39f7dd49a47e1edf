-- Applies a batch of records to the read model and moves the projector's offsets, all or nothing.
-- Any order of records and any repeats give the same result: a field is written once, the state is that of the
-- highest rank, and counts move only when the state does. Few calls a job: each costs more than its work.
--
-- KEYS[1] offsets
-- ARGV    prefix, samples kept,
--         moves, then per move: field, expected ('0' when absent), next
--         jobs, then per job:
--           job id, queue, milliseconds to keep it once ended, milliseconds to keep its completed key,
--           parts, then per part: field, value
--           transitions, then per transition: field, value, rank, state, time
-- Returns 1, or 0 when a partition does not stand where it is expected: then nothing has been written.

local TERMINAL = {completed = true, dead = true, cancelled = true, duplicate = true}
local FIXED = 6

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

-- What the batch changes in the counts, and which samples grew: written once at the end.
local deltas, grown = {}, {}
local function count(queue, state, change)
  local of_queue = deltas[queue] or {}
  deltas[queue] = of_queue
  of_queue[state] = (of_queue[state] or 0) + change
end

local function change_state(id, queue, old, new, time)
  if old then
    count(queue, old, -1)
    redis.call('ZREM', prefix .. 'sample:' .. queue .. ':' .. old, id)
  end
  count(queue, new, 1)
  local sample = prefix .. 'sample:' .. queue .. ':' .. new
  redis.call('ZADD', sample, time, id)
  grown[sample] = true
end

-- The latest completion under a key is the one that counts: an earlier one had expired when it ran.
local function remember_completed(id, digest, hash, time, keep)
  local done = prefix .. 'done:' .. digest
  local before = redis.call('GET', done)
  if not before or tonumber(string.match(before, '^%d+')) <= tonumber(time) then
    local until_ms = string.format('%.0f', tonumber(time) + tonumber(keep))
    redis.call('SET', done, time .. ' ' .. hash .. ' ' .. id, 'PXAT', until_ms)
  end
end

local function apply()
  local id, queue, keep, key_keep = take(), take(), take(), take()
  local key = prefix .. 'job:' .. id
  local asked, values, changes = {'rank', 'state', 'at', 'accepted', 'digest', 'hash'}, {}, {}
  for _ = 1, tonumber(take()) do
    asked[#asked + 1] = take()
    values[#values + 1] = take()
  end
  local parts = #values
  for _ = 1, tonumber(take()) do
    asked[#asked + 1] = take()
    values[#values + 1] = take()
    changes[#values] = {take(), take(), take()}
  end

  local known = redis.call('HMGET', key, unpack(asked))
  local rank, state, time, digest, hash = tonumber(known[1] or '-1'), known[2], known[3], known[5], known[6]
  local added, head = {}, nil
  for index, value in ipairs(values) do
    if not known[FIXED + index] then
      local field = asked[FIXED + index]
      added[#added + 1] = field
      added[#added + 1] = value
      if field == 'digest' then
        digest = value
      elseif field == 'hash' then
        hash = value
      end
      if index > parts and tonumber(changes[index][1]) > rank then
        head = changes[index]
        rank = tonumber(head[1])
      end
    end
  end
  if head then
    for _, value in ipairs({'rank', head[1], 'state', head[2], 'at', head[3]}) do
      added[#added + 1] = value
    end
  end
  if #added > 0 then
    redis.call('HSET', key, unpack(added))
  end
  if known[4] then
    redis.call('HDEL', key, 'accepted')
  end

  if head then
    if state ~= head[2] then
      change_state(id, queue, state, head[2], head[3])
    end
    if TERMINAL[head[2]] then
      redis.call('PEXPIRE', key, keep)
    elseif known[4] or TERMINAL[state] then
      redis.call('PERSIST', key)
    end
    state, time = head[2], head[3]
  end
  if state == 'completed' and digest then
    remember_completed(id, digest, hash, time, key_keep)
  end
end

for _ = 1, tonumber(take()) do
  apply()
end
for queue, states in pairs(deltas) do
  for state, change in pairs(states) do
    if change ~= 0 then
      redis.call('HINCRBY', prefix .. 'count:' .. queue, state, change)
    end
  end
end
for sample in pairs(grown) do
  redis.call('ZREMRANGEBYRANK', sample, 0, -samples - 1)
end
if #moves > 0 then
  redis.call('HSET', KEYS[1], unpack(moves))
end
return 1
