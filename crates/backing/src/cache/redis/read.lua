-- One record's key holds one of:
--   V form row      the row, in that form
--   N               that there is none
--   L token         a lease: its holder reads the database
--   H (token end)*  hidden by writers, each until then
local held = redis.call('GET', KEYS[1])
if ARGV[1] == 'look' then
  -- form, token, lease in milliseconds
  local kind = held and string.sub(held, 1, 1)
  if kind == 'V' and string.sub(held, 2, 17) == ARGV[2] or kind == 'N' then
    return held
  end
  if kind == 'L' or kind == 'H' then
    return kind
  end
  redis.call('SET', KEYS[1], 'L' .. ARGV[3], 'PX', ARGV[4])
  return '-'
end
-- fill: token, what to hold, its life in milliseconds, of which 0 gives the lease back
if held ~= 'L' .. ARGV[2] then
  return 0
end
if ARGV[4] == '0' then
  redis.call('DEL', KEYS[1])
  return 1
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return 1
