-- Applies a batch of records to the read model and moves the projector's offsets, all or nothing.
-- Any order of records and any repeats give the same result: an entry is kept once, the state is that of the
-- highest rank, and counts move only when the state does. Each call and each line here costs more than the work
-- behind it: so all jobs are read in one call and open ones written in one, an ended one takes one, for its time
-- to live; and what is said of jobs comes in columns.
--
-- KEYS[1] offsets
-- ARGV[1] MessagePack: prefix, samples kept; of each partition field, expected ('0' when absent) and next offset;
--         kinds: {queue, milliseconds to keep an ended job}
--         of each job: id, number of its kind, size of its entries, state and time of the highest rank in them
--         place of a job -> 'digest hash milliseconds' of its idempotency key
--         contents that lie aside: {place of the job, identity, content}
-- ARGV[2] the entries of all jobs, see `entries.py`
-- Returns 1, or 0 when a partition does not stand where it is expected: then nothing has been written.

local call, sub, byte, parse, unpack = redis.call, string.sub, string.byte, struct.unpack, unpack
local TERMINAL = {completed = true, dead = true, cancelled = true, duplicate = true}
local ACCEPTED, KEY = byte('A'), byte('K')
local IDENTITY, REST = 13, '<ddIBc0'
-- How many keys one call takes, and up to which size a value is written anew instead of appended to.
local AT_ONCE, SMALL = 1000, 16384

local prefix, samples, places, expected, following, kinds, ids, kind_of, sizes, states, times, keyed, asides =
  unpack(cmsgpack.unpack(ARGV[1]))
local entries = ARGV[2]

local moved = {}
if #places > 0 then
  local stand = call('HMGET', KEYS[1], unpack(places))
  for n = 1, #places do
    if (stand[n] or '0') ~= expected[n] then
      return 0
    end
    moved[2 * n - 1], moved[2 * n] = places[n], following[n]
  end
end

local clock = call('TIME')
local expiry = {}
for n = 1, #kinds do
  expiry[n] = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000) + kinds[n][2])
end

local names, known = {}, {}
for n = 1, #ids do
  names[n] = prefix .. 'job:' .. ids[n]
end
for first = 1, #names, AT_ONCE do
  local last = math.min(first + AT_ONCE - 1, #names)
  local found = call('MGET', unpack(names, first, last))
  for n = first, last do
    known[n] = found[n - first + 1]
  end
end

-- What the batch changes in the counts and the samples: written at the end.
local counted = {}
local function in_state(queue, state)
  local all = counted[queue]
  if not all then
    all = {}
    counted[queue] = all
  end
  local found = all[state]
  if not found then
    found = {came = {}, left = {}}
    all[state] = found
  end
  return found
end

-- The latest completion under a key is the one that counts: an earlier one had expired when it ran.
local function remember_completed(id, key, time)
  local digest, hash, keep = string.match(key, '^(%x+) (%x*) (%d+)$')
  local done = prefix .. 'done:' .. digest
  local before = call('GET', done)
  if not before or tonumber(string.match(before, '^%-?%d+')) <= time then
    local told = string.format('%.0f', time)
    call('SET', done, told .. ' ' .. hash .. ' ' .. id, 'PXAT', string.format('%.0f', time + tonumber(keep)))
  end
end

-- Reads entries into `head`; those that were not seen before go to `fresh`, too.
local function look(value, head, seen, fresh)
  local at, size = 1, #value
  while at <= size do
    local identity = sub(value, at, at + IDENTITY - 1)
    local rank, time, length, state, from = parse(REST, value, at + IDENTITY)
    local ending = from + length
    if not seen[identity] then
      seen[identity] = true
      if byte(identity) == KEY then
        head.key = sub(value, from, ending - 1)
      elseif rank > head.rank then
        head.rank, head.state, head.time = rank, state, time
      end
      head.aside = head.aside or length == 0
      if fresh then
        -- Mostly it is the only one: then no other text is made.
        fresh[#fresh + 1] = ending - at == size and value or sub(value, at, ending - 1)
      end
    end
    at = ending
  end
end

local lies_aside = {}
for n = 1, #asides do
  lies_aside[asides[n][1]] = true
end

local open, opened = {}, 0
local function store(n, value, state)
  if TERMINAL[state] then
    call('SET', names[n], value, 'PXAT', expiry[kind_of[n]])
  else
    -- Without a time to live, also when it had one.
    open[opened + 1], open[opened + 2] = names[n], value
    opened = opened + 2
  end
end

-- Many records of one job are not written again with each new one.
local function append(n, added, state)
  call('APPEND', names[n], added)
  if TERMINAL[state] then
    call('PEXPIREAT', names[n], expiry[kind_of[n]])
  else
    call('PERSIST', names[n])
  end
end

-- A job that was only accepted is forgotten: what the router made of it takes its place.
local function forget_accepted(n, old)
  if select(3, parse(REST, old, IDENTITY + 1)) == 0 then
    call('DEL', prefix .. 'long:' .. ids[n])
  end
end

local at, late = 1, {}
for n = 1, #ids do
  local new, old = sub(entries, at, at + sizes[n] - 1), known[n]
  at = at + sizes[n]
  local state, time, key, before, since = states[n], times[n], keyed[n], nil, nil
  if not old or byte(old) == ACCEPTED then
    if old then
      forget_accepted(n, old)
    end
    store(n, new, state)
  else
    local head, seen, fresh = {rank = -1}, {}, {}
    look(old, head, seen)
    before, since = head.state, head.time
    look(new, head, seen, fresh)
    state, time, key = head.state, head.time, head.key
    if #fresh > 0 then
      local added = #fresh == 1 and fresh[1] or table.concat(fresh)
      if #old > SMALL then
        append(n, added, state)
      else
        store(n, old .. added, state)
      end
    end
    lies_aside[n] = lies_aside[n] or head.aside
  end
  if lies_aside[n] then
    late[n] = state
  end
  -- Also in the same state at another time, or a sample would tell in which order the records came.
  if before ~= state or since ~= time then
    local queue, id = kinds[kind_of[n]][1], ids[n]
    if before then
      local left = in_state(queue, before).left
      left[#left + 1] = id
    end
    local came = in_state(queue, state).came
    local size = #came
    came[size + 1], came[size + 2] = time, id
  end
  if key and state == 'completed' then
    remember_completed(ids[n], key, time)
  end
end

for first = 1, opened, 2 * AT_ONCE do
  call('MSET', unpack(open, first, math.min(first + 2 * AT_ONCE - 1, opened)))
end
for n = 1, #asides do
  local job, identity, content = unpack(asides[n])
  call('HSETNX', prefix .. 'long:' .. ids[job], identity, content)
end
for n, state in pairs(late) do
  local name = prefix .. 'long:' .. ids[n]
  if TERMINAL[state] then
    call('PEXPIREAT', name, expiry[kind_of[n]])
  else
    call('PERSIST', name)
  end
end

-- Of those that came (time, id, time, id ...) the latest: the others would be removed again at once.
local function latest(came)
  if #came <= 2 * samples then
    return came
  end
  local order, found = {}, {}
  for n = 1, #came, 2 do
    order[#order + 1] = came[n]
  end
  table.sort(order)
  local least = order[#order - samples + 1]
  for n = 1, #came, 2 do
    if came[n] >= least then
      found[#found + 1] = came[n]
      found[#found + 1] = came[n + 1]
    end
  end
  return found
end

local function in_parts(command, name, items)
  for first = 1, #items, 2 * AT_ONCE do
    call(command, name, unpack(items, first, math.min(first + 2 * AT_ONCE - 1, #items)))
  end
end

for queue, all in pairs(counted) do
  for state, found in pairs(all) do
    local change = #found.came / 2 - #found.left
    if change ~= 0 then
      call('HINCRBY', prefix .. 'count:' .. queue, state, change)
    end
    local sample = prefix .. 'sample:' .. queue .. ':' .. state
    in_parts('ZREM', sample, found.left)
    if state == 'waiting' then
      -- The oldest is asked for, so all of them stay.
      in_parts('ZADD', sample, found.came)
    elseif #found.came > 0 then
      in_parts('ZADD', sample, latest(found.came))
      call('ZREMRANGEBYRANK', sample, 0, -samples - 1)
    end
  end
end
-- Last: should anything fail, the batch comes again.
if #moved > 0 then
  call('HSET', KEYS[1], unpack(moved))
end
return 1
