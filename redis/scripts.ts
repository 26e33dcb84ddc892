/**
 * What happens in Redis in one step. A script that begins with `flags=allow-oom` runs when Redis is full, too: it lets go of
 * something, keeps what is there, or adds little. The others are refused as a whole then, before they change anything.
 */
import { createHash } from 'node:crypto'

export interface Script {
  readonly text: string
  /** The name that Redis has for the text. */
  readonly sha: string
}

export function script(flags: '' | 'flags=allow-oom', text: string): Script {
  const whole = `#!lua ${flags}`.trimEnd() + text
  return { text: whole, sha: createHash('sha1').update(whole).digest('hex') }
}

const now = `
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)
local function whole(number) return string.format('%.0f', number) end
`

/**
 * The name that Redis has had since it became the master. What was written under another name may be older than what the previous
 * master had. Empty if Redis does not tell the name.
 */
const reign = `
local function reign()
  local told = redis.pcall('INFO', 'replication')
  return type(told) == 'string' and string.match(told, 'master_replid:(%x+)') or ''
end
`

/**
 * KEYS: claim. ARGV: node, life, proof, the node and fence that it is taken from, and the fence under which the node had it. Returns
 * nothing if the session is over, or was handed over to somebody else; an empty text if what was handed over may be too old; or node
 * and fence, and what was handed over to this node, or was stored by the node before: fields and values, in turn.
 */
export const claim: Script = script(
  '',
  `${now}${reign}
local node, fence, proof, ended, stored, taken, given, by = unpack(redis.call('HMGET', KEYS[1], 'n', 'f', 'p', 'e', 'k', 'm', 'q', 'g'))
if ended or (proof and proof ~= ARGV[3]) then return {} end
local isOwned = node and not (node == ARGV[4] and fence == ARGV[5])
if isOwned and node ~= ARGV[1] then return { node, fence } end
-- What was handed over is for one client alone also after a node has claimed it, until that node has kept the claim.
if given and given ~= ARGV[3] then return {} end
if stored and (taken or not isOwned) and stored ~= ARGV[3] then return {} end
-- Servers of older versions do not write by whom it was stored. A node that had the session later needs nothing of it.
local had = tonumber(ARGV[6]) or 0
local isLater = fence and (had > tonumber(fence) or (node == ARGV[1] and ARGV[6] == fence))
if by and not isLater and redis.call('HEXISTS', KEYS[1], 's') == 1 and by ~= reign() then return { '' } end
if not isOwned then
  if stored then
    taken = '1'
    redis.call('HSET', KEYS[1], 'm', taken)
  end
  if proof then redis.call('HSET', KEYS[1], 'q', proof) end
  -- The clock makes a fence higher than those of claims that Redis has forgotten.
  node = ARGV[1]
  fence = whole(math.max(micros, (fence and tonumber(fence) or 0) + 1))
  redis.call('HDEL', KEYS[1], 'p')
  redis.call('HSET', KEYS[1], 'n', node, 'f', fence)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local answer = { node, fence, redis.call('HGET', KEYS[1], 's') or '' }
if taken then
  local all = redis.call('HGETALL', KEYS[1])
  for at = 1, #all, 2 do
    if string.sub(all[at], 1, 1) == ':' then
      answer[#answer + 1] = string.sub(all[at], 2)
      answer[#answer + 1] = all[at + 1]
    end
  end
end
return answer`,
)

/**
 * KEYS: claims. ARGV: node, life, and for each claim: fence; proof if the record is a whole one, else nothing; how many fields are
 * dropped; how many are set; the names of the dropped fields; name and size of each field that is set. The last argument has all
 * values in a row: a client sends one piece faster than many. Returns for each claim 1 if the change was made, 0 if another node has
 * the session or it is over, or -1 if nobody has it, or the node has claimed it anew.
 */
export const store: Script = script(
  '',
  `
local answer = {}
local at = 3
local all, from = ARGV[#ARGV], 1
for place, key in ipairs(KEYS) do
  local fence, proof, dropped, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  at = at + 4
  local values = {}
  for next = at + dropped, at + dropped + count * 2 - 2, 2 do
    local size = tonumber(ARGV[next + 1])
    values[#values + 1] = ARGV[next]
    values[#values + 1] = string.sub(all, from, from + size - 1)
    from = from + size
  end
  local node, number = unpack(redis.call('HMGET', key, 'n', 'f'))
  if node == ARGV[1] and number == fence then
    if proof ~= '' then
      redis.call('DEL', key)
      redis.call('HSET', key, 'n', node, 'f', fence, 'k', proof)
      redis.call('PEXPIRE', key, ARGV[2])
    end
    if dropped > 0 then redis.call('HDEL', key, unpack(ARGV, at, at + dropped - 1)) end
    if count > 0 then redis.call('HSET', key, unpack(values)) end
    answer[place] = 1
  else
    answer[place] = (node ~= ARGV[1] and redis.call('EXISTS', key) == 1) and 0 or -1
  end
  at = at + dropped + count * 2
end
return answer`,
)

/** KEYS: claim. ARGV: node, life, proof, state. Returns 1 if the node had the session, or if the session waits already. */
export const handOver: Script = script(
  '',
  `${reign}
local node, proof, by = unpack(redis.call('HMGET', KEYS[1], 'n', 'p', 'g'))
-- What waits already is this, or what the next node has made of it; unless the master before wrote it.
if proof == ARGV[3] and (not by or by == reign()) then return 1 end
if node ~= ARGV[1] then return 0 end
local fence = redis.call('HGET', KEYS[1], 'f')
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'f', fence, 'p', ARGV[3], 's', ARGV[4], 'g', reign())
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1`,
)

/** KEYS: claims. ARGV: node, life. Returns the places in KEYS of those that the node does not have. */
export const keep: Script = script(
  'flags=allow-oom',
  `
local lost = {}
for at, key in ipairs(KEYS) do
  if redis.call('HGET', key, 'n') == ARGV[1] then
    redis.call('HDEL', key, 's', 'q', 'g')
    redis.call('PEXPIRE', key, ARGV[2])
  else
    lost[#lost + 1] = at
  end
end
return lost`,
)

/**
 * KEYS: claims. ARGV: node, life. The same as `keep`, and gives each claim another number. Returns the numbers; empty texts for
 * claims that the node does not have.
 */
export const renew: Script = script(
  'flags=allow-oom',
  `${now}
local fences = {}
for at, key in ipairs(KEYS) do
  local node, fence = unpack(redis.call('HMGET', key, 'n', 'f'))
  fences[at] = ''
  if node == ARGV[1] then
    fences[at] = whole(math.max(micros, tonumber(fence) + 1))
    redis.call('HDEL', key, 's', 'q', 'g')
    redis.call('HSET', key, 'f', fences[at])
    redis.call('PEXPIRE', key, ARGV[2])
  end
end
return fences`,
)

/** KEYS: claim. ARGV: node, and for how long the session is known as ended. */
export const release: Script = script(
  'flags=allow-oom',
  `
if redis.call('HGET', KEYS[1], 'n') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if tonumber(ARGV[2]) > 0 then
  redis.call('HSET', KEYS[1], 'e', '1')
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1`,
)

/** KEYS: common values. ARGV: name, proposal, how long all common values live. Returns the value. */
export const common: Script = script(
  'flags=allow-oom',
  `
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('HGET', KEYS[1], ARGV[1])`,
)

/** KEYS: nodes, common values. ARGV: name, record, lease, how long common values live. Returns 1 if the node was not there. */
export const beat: Script = script(
  'flags=allow-oom',
  `${now}
local isNew = redis.call('HSET', KEYS[1], ARGV[1], whole(now + ARGV[3]) .. ' ' .. ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return isNew`,
)

/** KEYS: nodes. ARGV: name. */
export const leave: Script = script('flags=allow-oom', `\nreturn redis.call('HDEL', KEYS[1], ARGV[1])`)

/** KEYS: nodes. ARGV: a name, or nothing for all. Returns names and records, in turn, of nodes whose leases are not over. */
export const nodes: Script = script(
  'flags=allow-oom',
  `${now}
local found = {}
local function look(name, value)
  local until_, record = string.match(value, '^(%d+) (.*)$')
  if tonumber(until_) > now then
    found[#found + 1] = name
    found[#found + 1] = record
  else
    redis.call('HDEL', KEYS[1], name)
  end
end
if ARGV[1] then
  local value = redis.call('HGET', KEYS[1], ARGV[1])
  if value then look(ARGV[1], value) end
else
  local all = redis.call('HGETALL', KEYS[1])
  for at = 1, #all, 2 do look(all[at], all[at + 1]) end
end
return found`,
)

/**
 * The epoch and the last offset of a topic. Begins an epoch if there is none, or if Redis has lost what a node has already seen, as
 * a replica may have that became the master: offsets must not be given out twice in one epoch.
 */
const place = `
local function place(meta, log, proposal, epoch, offset)
  local known = redis.call('HMGET', meta, 'e', 'o')
  if known[1] and not (known[1] == epoch and tonumber(known[2]) < tonumber(offset)) then
    return known[1], tonumber(known[2])
  end
  redis.call('DEL', meta, log)
  redis.call('HSET', meta, 'e', proposal, 'o', '0')
  return proposal, 0
end
`

/** KEYS: meta, log. ARGV: the epoch to begin, how long meta lives, epoch and offset that are known. Returns epoch and offset. */
export const last: Script = script(
  'flags=allow-oom',
  `${now}${place}
local epoch, offset = place(KEYS[1], KEYS[2], ARGV[1], ARGV[3], ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return { epoch, whole(offset) }`,
)

/**
 * KEYS: meta, log, senders, channel. ARGV: the epoch to begin, how long meta lives, how many entries are kept, for how long,
 * publisher, number of the first entry, entries. Returns how many were new.
 */
export const publish: Script = script(
  '',
  `${now}${place}
local meta, log, senders, channel = unpack(KEYS)
local lives, messages, age, publisher, seq = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local first = 7
local known = redis.call('HGET', senders, publisher)
if known then
  first = first + math.max(0, tonumber(string.match(known, '^%d+')) - seq + 1)
  if first > #ARGV then return 0 end
else
  local all = redis.call('HGETALL', senders)
  for at = 1, #all, 2 do
    if now - string.match(all[at + 1], '%d+$') > lives then redis.call('HDEL', senders, all[at]) end
  end
end

local epoch, offset = place(meta, log, ARGV[1], '', 0)
local head = { epoch, whole(offset + 1) }
for at = first, #ARGV do
  offset = offset + 1
  local id = whole(offset) .. '-0'
  if at < #ARGV then
    redis.call('XADD', log, id, '', ARGV[at])
  else
    redis.call('XADD', log, 'MAXLEN', '~', messages, id, '', ARGV[at])
  end
  head[#head + 1] = #ARGV[at]
end

-- A mark says which offset was reached when. What was there before the last mark that is old enough is too old.
local marks = redis.call('HGET', meta, 'm') or ''
local latest = string.match(marks, '(%d+) %d+;$')
if not latest or now - latest > age / 4 then
  marks = marks .. whole(now) .. ' ' .. whole(offset + 1) .. ';'
  local old
  while true do
    local at, start, rest = string.match(marks, '^(%d+) (%d+);(.*)$')
    if not at or now - at <= age then break end
    old = start
    marks = rest
  end
  if old then redis.call('XTRIM', log, 'MINID', old) end
end

redis.call('HSET', meta, 'e', epoch, 'o', whole(offset), 'm', marks)
redis.call('HSET', senders, publisher, whole(seq + #ARGV - 7) .. ' ' .. whole(now))
redis.call('PEXPIRE', meta, lives)
redis.call('PEXPIRE', senders, lives)
redis.call('PEXPIRE', log, age)
redis.call('SPUBLISH', channel, table.concat(head, ' ') .. '\\n' .. table.concat(ARGV, '', first))
return #ARGV - first + 1`,
)

/**
 * KEYS: meta, log. ARGV: the epoch to begin, how long meta lives, epoch and offset after which to read, how many entries and how
 * many bytes at a time. Returns the epoch, the last offset, the offset of the first entry, and entries.
 */
export const history: Script = script(
  'flags=allow-oom',
  `${now}${place}
local epoch, offset = place(KEYS[1], KEYS[2], ARGV[1], ARGV[3], ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local after = 0
if epoch == ARGV[3] then after = tonumber(ARGV[4]) end
local answer = { epoch, whole(offset), whole(offset + 1) }
local most, bytes = 3 + ARGV[5], tonumber(ARGV[6])
local nextId = whole(after + 1)
while #answer < most and bytes > 0 do
  local some = redis.call('XRANGE', KEYS[2], nextId, '+', 'COUNT', math.min(16, most - #answer))
  if #some == 0 then break end
  if #answer == 3 then answer[3] = string.match(some[1][1], '^%d+') end
  for _, one in ipairs(some) do
    answer[#answer + 1] = one[2][2]
    bytes = bytes - #one[2][2]
  end
  nextId = '(' .. some[#some][1]
end
return answer`,
)
