-- See the other script for what a key holds. A writer's entry is a token of 16 letters and 13 digits of milliseconds.
local held = redis.call('GET', KEYS[1])
if ARGV[1] == 'turn' then
  -- the generation's key: from which one, to which one
  if not held or held == ARGV[2] then
    redis.call('SET', KEYS[1], ARGV[3])
    return ARGV[3]
  end
  return held
end
local is_hidden = held and string.sub(held, 1, 1) == 'H'
local others, is_found = '', false
if is_hidden then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  for at = 2, #held, 29 do
    if string.sub(held, at, at + 15) == ARGV[2] then
      is_found = true
    elseif tonumber(string.sub(held, at + 16, at + 28)) > now then
      others = others .. string.sub(held, at, at + 28)
    end
  end
end
if ARGV[1] == 'hide' then
  -- token, for how many milliseconds
  local time = redis.call('TIME')
  local last = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[3]
  redis.call('SET', KEYS[1], 'H' .. others .. ARGV[2] .. string.format('%013.0f', last), 'PX', ARGV[3])
  return 1
end
-- lift: token. Says whether the record was hidden all the time since; if not, what was kept meanwhile goes.
if others ~= '' then
  redis.call('SET', KEYS[1], 'H' .. others, 'KEEPTTL')
elseif held then
  redis.call('DEL', KEYS[1])
end
return is_found and 1 or 0
