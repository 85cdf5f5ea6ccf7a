"""The scripts of `RedisSessionStore`; the rules are those of `SessionStore`.

``KEYS[1]`` is the hash of epochs, ``ARGV[1]`` the prefix of all keys:

* ``s:<key>`` a session, a hash: id, user, actor, parent, epoch, actor_epoch, general, created, seen, ends, facts,
  principal, sub, sid
* ``i:<id>`` the key of a session, ``u:<user>`` the ids of a user by age, ``c:<id>`` the impersonations out of a session
* ``f:<mark>`` the ids behind a sign-in, or all sign-ins of a person, at a provider

A row comes as key, id, user, actor, parent, created, seen, ends, keep, keep index, facts, principal, sub, sid in
``ARGV[2]`` to ``ARGV[15]``. It goes back as key, "seen created", facts, principal.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ADMIT", "END", "END_ALL", "END_EVERYTHING", "END_FEDERATED", "LIVE", "READ", "SPAWN", "SWAP"]

_COMMON: Final = """
local E, P = KEYS[1], ARGV[1]
local function epoch(name) return redis.call('HGET', E, name) or '0' end
local function standing(hex)
  local r = redis.call('HMGET', P..'s:'..hex, 'user', 'epoch', 'actor', 'actor_epoch', 'general')
  return r[1] and r[2] == epoch('u:'..r[1]) and r[5] == epoch('*')
    and (r[3] == '' or r[4] == epoch('u:'..r[3]))
end
local function tell(hex, rows)
  local r = redis.call('HMGET', P..'s:'..hex, 'seen', 'created', 'facts', 'principal')
  rows[#rows+1] = hex
  rows[#rows+1] = r[1]..' '..r[2]
  rows[#rows+1] = r[3]
  rows[#rows+1] = r[4]
end
local function found(id)
  local hex = redis.call('GET', P..'i:'..id)
  return hex and standing(hex) and hex or nil
end
local function forget(id)
  local hex = redis.call('GET', P..'i:'..id)
  if hex then
    local r = redis.call('HMGET', P..'s:'..hex, 'user', 'parent', 'sub', 'sid')
    redis.call('DEL', P..'s:'..hex, P..'i:'..id)
    if r[1] then redis.call('ZREM', P..'u:'..r[1], id) end
    if r[2] and r[2] ~= '' then redis.call('SREM', P..'c:'..r[2], id) end
    for at = 3, 4 do if r[at] and r[at] ~= '' then redis.call('SREM', P..'f:'..r[at], id) end end
  end
end
local function drop(id)
  forget(id)
  for _, child in ipairs(redis.call('SMEMBERS', P..'c:'..id)) do forget(child) end
  redis.call('DEL', P..'c:'..id)
end
local function keep(name, ttl)
  if redis.call('PTTL', name) < tonumber(ttl) then redis.call('PEXPIRE', name, ttl) end
end
local function fill(hex)
  redis.call('HSET', P..'s:'..hex, 'id', ARGV[3], 'user', ARGV[4], 'actor', ARGV[5], 'parent', ARGV[6],
    'created', ARGV[7], 'seen', ARGV[8], 'ends', ARGV[9], 'facts', ARGV[12], 'principal', ARGV[13],
    'sub', ARGV[14], 'sid', ARGV[15])
  redis.call('PEXPIRE', P..'s:'..hex, ARGV[10])
  redis.call('SET', P..'i:'..ARGV[3], hex, 'PX', ARGV[11])
end
local function add(actor_epoch)
  fill(ARGV[2])
  redis.call('HSET', P..'s:'..ARGV[2], 'epoch', epoch('u:'..ARGV[4]), 'general', epoch('*'), 'actor_epoch', actor_epoch)
  local index = P..'u:'..ARGV[4]
  redis.call('ZADD', index, ARGV[7], ARGV[3])
  keep(index, ARGV[11])
  for at = 14, 15 do
    if ARGV[at] ~= '' then
      redis.call('SADD', P..'f:'..ARGV[at], ARGV[3])
      keep(P..'f:'..ARGV[at], ARGV[11])
    end
  end
end
local function living(user)
  local ids = {}
  for _, id in ipairs(redis.call('ZRANGE', P..'u:'..user, 0, -1)) do
    if redis.call('EXISTS', P..'i:'..id) == 0 then redis.call('ZREM', P..'u:'..user, id)
    elseif found(id) then ids[#ids+1] = id
    else
      forget(id)
      redis.call('ZREM', P..'u:'..user, id)
    end
  end
  return ids
end
"""

READ: Final = """
local E, P = KEYS[1], ARGV[1]
local hex = ARGV[2]
local r = redis.call('HMGET', P..'s:'..hex, 'user', 'epoch', 'actor', 'actor_epoch', 'general', 'seen', 'created',
  'facts', 'principal')
if not r[1] then return {} end
local e = redis.call('HMGET', E, 'u:'..r[1], '*', 'u:'..r[3])
if r[2] ~= (e[1] or '0') or r[5] ~= (e[2] or '0') or (r[3] ~= '' and r[4] ~= (e[3] or '0')) then return {} end
return {hex, r[6]..' '..r[7], r[8], r[9]}
"""
ADMIT: Final = (
    _COMMON
    + """
local now, limit, before, ended = tonumber(ARGV[7]), tonumber(ARGV[16]), ARGV[17], {}
local function leaves(id, whole)
  local hex = redis.call('GET', P..'i:'..id)
  local lives = tonumber(redis.call('HGET', P..'s:'..hex, 'ends')) > now
  if lives then tell(hex, ended) end
  if lives or whole then drop(id) else forget(id) end
  return lives
end
if before ~= '' and standing(before) then leaves(redis.call('HGET', P..'s:'..before, 'id'), true) end
local kept = {}
for _, id in ipairs(living(ARGV[4])) do
  local r = redis.call('HMGET', P..'s:'..redis.call('GET', P..'i:'..id), 'ends', 'actor')
  if tonumber(r[1]) <= now then forget(id)
  elseif r[2] == '' then kept[#kept+1] = id end
end
for at = 1, #kept + 1 - limit do leaves(kept[at], true) end
add('0')
return ended
"""
)
SPAWN: Final = (
    _COMMON
    + """
local parent = ARGV[16]
if not standing(parent) then return 0 end
add(redis.call('HGET', P..'s:'..parent, 'epoch'))
redis.call('SADD', P..'c:'..ARGV[6], ARGV[3])
keep(P..'c:'..ARGV[6], ARGV[11])
return 1
"""
)
SWAP: Final = (
    _COMMON
    + """
local old = ARGV[16]
if not standing(old) then return 0 end
if old ~= ARGV[2] then redis.call('RENAME', P..'s:'..old, P..'s:'..ARGV[2]) end
fill(ARGV[2])
return 1
"""
)
END: Final = (
    _COMMON
    + """
local id, user, rows = ARGV[2], ARGV[3], {}
local hex = found(id)
if not hex or (user ~= '' and '='..redis.call('HGET', P..'s:'..hex, 'user') ~= user) then return {} end
tell(hex, rows)
drop(id)
return rows
"""
)
END_ALL: Final = (
    _COMMON
    + """
local user, but, name = ARGV[2], ARGV[3], 'u:'..ARGV[2]
local hex = but ~= '' and found(but) or nil
local now = redis.call('HINCRBY', E, name, 1)
if hex and redis.call('HGET', P..'s:'..hex, 'user') == user then
  redis.call('HSET', P..'s:'..hex, 'epoch', string.format('%d', now))
end
return 1
"""
)
END_EVERYTHING: Final = "return redis.call('HINCRBY', KEYS[1], '*', 1)"
END_FEDERATED: Final = (
    _COMMON
    + """
local rows = {}
for _, id in ipairs(redis.call('SMEMBERS', P..'f:'..ARGV[2])) do
  local hex = found(id)
  if hex and (ARGV[3] == '' or redis.call('HGET', P..'s:'..hex, 'sub') == ARGV[3]) then
    tell(hex, rows)
    drop(id)
  end
end
return rows
"""
)
LIVE: Final = (
    _COMMON
    + """
local rows = {}
for _, id in ipairs(living(ARGV[2])) do tell(redis.call('GET', P..'i:'..id), rows) end
return rows
"""
)
