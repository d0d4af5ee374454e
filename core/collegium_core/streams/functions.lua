#!lua name=collegium

-- The log of statements: append, claims, leases, acknowledgement, watermark. Every call touches one tenant's keys (and the
-- rings of its partition), so one slot of a Redis Cluster. Floor: Redis 7.0 / Valkey 7.2.
--
-- Keys of a tenant, below its prefix c:{pNN}:<slug>:
--   log             stream; one entry per at most ENTRY_STATEMENTS statements; entry id = <position of its first>-0
--                   fields: a authority, v version to supply, m one digit per statement (what the client left out),
--                   then <statement id> <raw statement> in order; the i-th (from 0) has position <entry id> + i
--   head            hash: last (highest position handed out or noted), first (of the oldest entry in the log),
--                   backlog (statements in the log), appended, dead (counters)
--   buckets         set of the numbers of claim buckets that may exist
--   claims:<n>      hash: statement id -> position, for positions of one stretch of BUCKET microseconds
--   lease:<consumer> hash: fence, owner
--   dead            stream of statements that no store will take
-- Rings, c:{pNN}:ring:<consumer>: sorted set of slugs by the time (microseconds) from which a worker may take them.

local ENTRY_STATEMENTS = 256
local ENTRY_BYTES = 1048576
local BUCKET = 600 * 1000000
local CLAIM_MILLISECONDS = 15 * 60 * 1000
local LOOKUP_AGE = 300 * 1000000
local NOTE_AGE = 250 * 1000
local SLICE = 1000 -- Lua's stack bounds unpack

local function number(value)
  return string.format('%.0f', value) -- tostring rounds to 14 digits
end

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function prefix_of(key) -- any key of the tenant -> its prefix
  return string.match(key, '^(c:{p%d%d}:[^:]+:)')
end

-- Calls visit(index, position) for each of ids that is claimed; forgets buckets that have expired when forget is set.
local function each_claim(prefix, ids, forget, visit)
  for _, bucket in ipairs(redis.call('SMEMBERS', prefix .. 'buckets')) do
    local key = prefix .. 'claims:' .. bucket
    if redis.call('EXISTS', key) == 1 then
      for from = 1, #ids, SLICE do
        local to = math.min(from + SLICE - 1, #ids)
        local found = redis.call('HMGET', key, unpack(ids, from, to))
        for offset = 1, to - from + 1 do
          if found[offset] then
            visit(from + offset - 1, found[offset])
          end
        end
      end
    elseif forget then
      redis.call('SREM', prefix .. 'buckets', bucket)
    end
  end
end

-- Claims of statements that are all indexed live CLAIM_MILLISECONDS longer: a stretch of buckets below `open`.
local function let_claims_expire(prefix, open)
  for _, bucket in ipairs(redis.call('SMEMBERS', prefix .. 'buckets')) do
    if not open or tonumber(bucket) < open then
      local key = prefix .. 'claims:' .. bucket
      if redis.call('PTTL', key) == -1 then
        redis.call('PEXPIRE', key, CLAIM_MILLISECONDS)
      end
    end
  end
end

-- Writes statements from..to (1-based, of the same authority and version) as entries of bounded size and claims their ids.
local function write(prefix, accepted, from, to)
  while from <= to do
    local first = accepted[from]
    local entry = { 'a', first.authority, 'v', first.version, 'm', '' }
    local missing, claims, bytes, at = {}, {}, 0, from
    while at <= to and at - from < ENTRY_STATEMENTS and (at == from or bytes + #accepted[at].raw <= ENTRY_BYTES) do
      local statement = accepted[at]
      local position = number(first.position + at - from)
      entry[#entry + 1] = statement.id
      entry[#entry + 1] = statement.raw
      claims[#claims + 1] = statement.id
      claims[#claims + 1] = position
      missing[#missing + 1] = statement.missing
      bytes = bytes + #statement.raw
      at = at + 1
    end
    entry[6] = table.concat(missing)
    redis.call('XADD', prefix .. 'log', number(first.position) .. '-0', unpack(entry))
    -- The bucket of an entry's first statement holds the claims of the whole entry: entries are acknowledged whole.
    local bucket = number(math.floor(first.position / BUCKET))
    redis.call('HSET', prefix .. 'claims:' .. bucket, unpack(claims))
    redis.call('PERSIST', prefix .. 'claims:' .. bucket)
    redis.call('SADD', prefix .. 'buckets', bucket)
    from = at
  end
end

-- append LOG RING... : slug, looked_up_at ('' when no id was the client's), backlog limit, then for each batch:
-- authority, version, missing (one digit per statement), and as many times: id, raw
-- -> {now, for each batch: {'ok', first position} | {'taken', index, position, ...} | {'full', backlog} | {'stale'}}
-- Each batch is appended whole or not at all; batches of one call share entries, and one sync of the disk.
local function append(keys, args)
  local prefix = prefix_of(keys[1])
  local head = prefix .. 'head'
  local slug, looked_up_at, limit = args[1], args[2], tonumber(args[3])
  local time = now()
  local answers = { number(time) }
  local stale = looked_up_at ~= '' and time - tonumber(looked_up_at) > LOOKUP_AGE

  local batches, ids, at = {}, {}, 4
  while at <= #args do
    local count = #args[at + 2]
    batches[#batches + 1] = { at = at, count = count, from = #ids }
    for i = 1, count do
      ids[#ids + 1] = args[at + 1 + 2 * i]
    end
    at = at + 3 + 2 * count
  end
  local claimed = {}
  each_claim(prefix, ids, true, function(index, position)
    claimed[ids[index]] = position
  end)

  local state = redis.call('HMGET', head, 'last', 'backlog', 'first')
  local backlog, added = tonumber(state[2] or '0'), 0
  local first = math.max(time, tonumber(state[1] or '0') + 1)
  local accepted = {}
  for _, batch in ipairs(batches) do
    local taken = { 'taken' }
    for i = 1, batch.count do
      local position = claimed[ids[batch.from + i]]
      if position and #taken < 2 * SLICE then
        taken[#taken + 1] = i
        taken[#taken + 1] = position
      end
    end
    if #taken > 1 then
      answers[#answers + 1] = taken
    elseif stale then
      answers[#answers + 1] = { 'stale' }
    elseif backlog + added + batch.count > limit then
      answers[#answers + 1] = { 'full', number(backlog + added) }
    else
      answers[#answers + 1] = { 'ok', number(first + added) }
      for i = 1, batch.count do
        local id = ids[batch.from + i]
        claimed[id] = number(first + added)
        accepted[#accepted + 1] = {
          id = id,
          raw = args[batch.at + 2 + 2 * i],
          authority = args[batch.at],
          version = args[batch.at + 1],
          missing = string.sub(args[batch.at + 2], i, i),
          position = first + added,
        }
        added = added + 1
      end
    end
  end
  if added == 0 then
    return answers
  end

  local from = 1
  for i = 1, added do
    local this, following = accepted[i], accepted[i + 1]
    if not following or following.authority ~= this.authority or following.version ~= this.version then
      write(prefix, accepted, from, i)
      from = i + 1
    end
  end
  redis.call('HSET', head, 'last', number(first + added - 1), 'backlog', number(backlog + added))
  if not state[3] then
    redis.call('HSET', head, 'first', number(first))
  end
  redis.call('HINCRBY', head, 'appended', added)
  for i = 2, #keys do
    if redis.call('ZADD', keys[i], 'NX', number(time), slug) == 1 then
      local consumer = string.match(keys[i], ':ring:(.+)$')
      redis.call('PUBLISH', 'c:ring:' .. consumer, string.match(keys[i], '^c:{p(%d%d)}'))
    end
  end
  return answers
end

-- Entries from the start of the log until either bound is reached; at least one when there is one.
local function oldest(log, max_statements, max_bytes)
  local entries, statements, bytes = {}, 0, 0
  local from = '-'
  while true do
    local page = redis.call('XRANGE', log, from, '+', 'COUNT', 16)
    for _, entry in ipairs(page) do
      entries[#entries + 1] = entry
      statements = statements + (#entry[2] - 6) / 2
      for i = 8, #entry[2], 2 do
        bytes = bytes + #entry[2][i]
      end
      if statements >= max_statements or bytes >= max_bytes then
        return entries
      end
    end
    if #page < 16 then
      return entries
    end
    from = '(' .. page[#page][1]
  end
end

-- The slug to take next: the one that has waited longest, or with `wanted` that one alone; nothing when none is ready.
local function next_ready(ring, wanted, time)
  if wanted == '' then
    return redis.call('ZRANGEBYSCORE', ring, '-inf', number(time), 'LIMIT', 0, 1)[1]
  end
  local score = redis.call('ZSCORE', ring, wanted)
  return score and tonumber(score) <= time and wanted
end

-- take RING : consumer, owner, lease in microseconds, most statements, most bytes, slug ('' for any)
-- -> {slug, fence, now, entries} | false when no such tenant of this partition is ready
local function take(keys, args)
  local ring = keys[1]
  local consumer, owner, lease, wanted = args[1], args[2], tonumber(args[3]), args[6] or ''
  local partition = string.match(ring, '^(c:{p%d%d}:)')
  local time = now()
  while true do
    local slug = next_ready(ring, wanted, time)
    if not slug then
      return false
    end
    local entries = oldest(partition .. slug .. ':log', tonumber(args[4]), tonumber(args[5]))
    if #entries > 0 then
      local key = partition .. slug .. ':lease:' .. consumer
      local fence = redis.call('HINCRBY', key, 'fence', 1)
      redis.call('HSET', key, 'owner', owner)
      redis.call('ZADD', ring, number(time + lease), slug)
      return { slug, fence, number(time), entries }
    end
    redis.call('ZREM', ring, slug)
  end
end

-- ready RING : slug ('' for any) -> 1 when such a tenant of this partition may be taken now, else 0
local function ready(keys, args)
  return next_ready(keys[1], args[1] or '', now()) and 1 or 0
end

local function holds(lease, fence)
  return redis.call('HGET', lease, 'fence') == fence
end

-- beat LEASE RING : fence, slug, lease in microseconds -> 1 while the lease is held, 0 when another has taken the tenant
local function beat(keys, args)
  if not holds(keys[1], args[1]) then
    return 0
  end
  redis.call('ZADD', keys[2], 'XX', number(now() + tonumber(args[3])), args[2])
  return 1
end

-- release LEASE RING : fence, slug, pause in microseconds -> 1 | 0. Gives the tenant back unhandled, to be taken after the pause.
local function release(keys, args)
  if not holds(keys[1], args[1]) then
    return 0
  end
  redis.call('HINCRBY', keys[1], 'fence', 1)
  redis.call('ZADD', keys[2], 'XX', number(now() + tonumber(args[3])), args[2])
  return 1
end

-- acknowledge LEASE RING : fence, slug, last position, statements, statements worth a round of their own, pause in
-- microseconds before a smaller rest may be taken, then for each dead letter:
-- position, id, reason, raw, authority, version, missing
-- -> {watermark, statements left, now} | false when the fence is not the present one (nothing is changed then)
local function acknowledge(keys, args)
  local lease, ring = keys[1], keys[2]
  if not holds(lease, args[1]) then
    return false
  end
  local prefix = prefix_of(lease)
  local slug, through, count = args[2], tonumber(args[3]), tonumber(args[4])
  local log, head = prefix .. 'log', prefix .. 'head'
  local time = now()
  local dead = (#args - 6) / 7
  for i = 0, dead - 1 do
    local at = 7 + 7 * i
    redis.call('XADD', prefix .. 'dead', args[at] .. '-0', 'id', args[at + 1], 'reason', args[at + 2],
      'raw', args[at + 3], 'authority', args[at + 4], 'version', args[at + 5], 'missing', args[at + 6])
  end
  if dead > 0 then
    redis.call('HINCRBY', head, 'dead', dead)
    -- What no store holds must not keep its id: it may come again, corrected or replayed.
    for _, bucket in ipairs(redis.call('SMEMBERS', prefix .. 'buckets')) do
      for i = 0, dead - 1 do
        redis.call('HDEL', prefix .. 'claims:' .. bucket, args[8 + 7 * i])
      end
    end
  end
  redis.call('XTRIM', log, 'MINID', '=', number(through + 1))
  local left = redis.call('HINCRBY', head, 'backlog', -count)
  redis.call('HINCRBY', lease, 'fence', 1)
  local rest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  if rest then
    local first = tonumber(string.match(rest[1], '^(%d+)'))
    redis.call('HSET', head, 'first', number(first))
    local pause = left < tonumber(args[5]) and tonumber(args[6]) or 0
    redis.call('ZADD', ring, number(time + pause), slug)
    let_claims_expire(prefix, math.floor(first / BUCKET))
    return { number(first - 1), left, number(time) }
  end
  local noted = math.max(time, tonumber(redis.call('HGET', head, 'last') or '0'))
  redis.call('HDEL', head, 'first')
  redis.call('HSET', head, 'last', number(noted))
  redis.call('ZREM', ring, slug)
  let_claims_expire(prefix, nil)
  return { number(noted), left, number(time) }
end

-- watermark LOG -> position up to which everything is in the store. With an empty log that is the clock, and it is noted, so
-- that whatever comes later gets a later position; a note younger than NOTE_AGE serves again, which keeps reads free of writes.
local function watermark(keys)
  local head = prefix_of(keys[1]) .. 'head'
  local state = redis.call('HMGET', head, 'first', 'last')
  if state[1] then
    return number(tonumber(state[1]) - 1)
  end
  local time, last = now(), tonumber(state[2] or '0')
  if last + NOTE_AGE > time then
    return number(last)
  end
  redis.call('HSET', head, 'last', number(time))
  return number(time)
end

-- locate LOG : id... -> per id false (no claim), {position} (claimed, no longer in the log) or {position, authority, version,
-- missing, raw}
local function locate(keys, args)
  local log = keys[1]
  local answer = {}
  for i = 1, #args do
    answer[i] = false
  end
  local entry, first, count -- the entry read last: ids of one batch mostly lie in one
  each_claim(prefix_of(log), args, false, function(index, position)
    answer[index] = { position }
    local at = tonumber(position)
    if not entry or at < first or at >= first + count then
      entry = redis.call('XREVRANGE', log, position, '-', 'COUNT', 1)[1]
      if not entry then
        return
      end
      first = tonumber(string.match(entry[1], '^(%d+)'))
      count = (#entry[2] - 6) / 2
    end
    local fields, offset = entry[2], at - first
    if fields[7 + 2 * offset] == args[index] then
      answer[index] = { position, fields[2], fields[4], string.sub(fields[6], offset + 1, offset + 1), fields[8 + 2 * offset] }
    end
  end)
  return answer
end

-- state LOG -> {backlog, first or '', last, appended, dead, now}
local function state(keys)
  local head = redis.call('HMGET', prefix_of(keys[1]) .. 'head', 'backlog', 'first', 'last', 'appended', 'dead')
  return { head[1] or '0', head[2] or '', head[3] or '0', head[4] or '0', head[5] or '0', number(now()) }
end

-- drop LOG RING... : slug. Forgets the tenant's log, claims, leases and dead letters.
local function drop(keys, args)
  local prefix = prefix_of(keys[1])
  for _, bucket in ipairs(redis.call('SMEMBERS', prefix .. 'buckets')) do
    redis.call('UNLINK', prefix .. 'claims:' .. bucket)
  end
  for i = 2, #keys do
    redis.call('ZREM', keys[i], args[1])
    redis.call('UNLINK', prefix .. 'lease:' .. string.match(keys[i], ':ring:(.+)$'))
  end
  redis.call('UNLINK', keys[1], prefix .. 'head', prefix .. 'buckets', prefix .. 'dead')
  return 1
end

-- At the memory limit appends are refused; what frees memory, or lets readers and workers go on, is not.
local FREES = { 'allow-oom' }
local READS = { 'no-writes' }

redis.register_function('collegium_append', append)
redis.register_function { function_name = 'collegium_take', callback = take, flags = FREES }
redis.register_function { function_name = 'collegium_beat', callback = beat, flags = FREES }
redis.register_function { function_name = 'collegium_release', callback = release, flags = FREES }
redis.register_function { function_name = 'collegium_acknowledge', callback = acknowledge, flags = FREES }
redis.register_function { function_name = 'collegium_watermark', callback = watermark, flags = FREES }
redis.register_function { function_name = 'collegium_drop', callback = drop, flags = FREES }
redis.register_function { function_name = 'collegium_ready', callback = ready, flags = READS }
redis.register_function { function_name = 'collegium_locate', callback = locate, flags = READS }
redis.register_function { function_name = 'collegium_state', callback = state, flags = READS }
