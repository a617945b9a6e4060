/** Whether an address lies in a network, as the server sees it. */
interface Bits {
  value: bigint;
  size: 32 | 128;
}

function v4(text: string): bigint | null {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return null;
  return parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}

function v6(text: string): bigint | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const groups = (half: string): bigint[] | null => {
    const all: bigint[] = [];
    for (const part of half ? half.split(':') : []) {
      const tail = part.includes('.') ? v4(part) : null;
      if (tail !== null) all.push(tail >> 16n, tail & 0xffffn);
      else if (/^[0-9a-f]{1,4}$/i.test(part)) all.push(BigInt(`0x${part}`));
      else return null;
    }
    return all;
  };
  const [head, tail] = [groups(halves[0] ?? ''), groups(halves[1] ?? '')];
  if (!head || !tail) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 0) return null;
  return [...head, ...Array.from({ length: missing }, () => 0n), ...tail].reduce((sum, group) => (sum << 16n) + group, 0n);
}

function address(text: string): Bits | null {
  const plain = text.split('%')[0] ?? '';
  const four = v4(plain);
  if (four !== null) return { value: four, size: 32 };
  const six = v6(plain);
  if (six === null) return null;
  // An address of version 4 in the clothes of version 6.
  return six >> 32n === 0xffffn ? { value: six & 0xffffffffn, size: 32 } : { value: six, size: 128 };
}

/** Null where one of the two cannot be read. */
export function contains(network: string, ip: string): boolean | null {
  const [base = '', length] = network.split('/');
  const [net, one] = [address(base), address(ip)];
  if (!net || !one) return null;
  if (net.size !== one.size) return false;
  const bits = length === undefined ? net.size : Number(length);
  if (!Number.isInteger(bits) || bits < 0 || bits > net.size) return null;
  const shift = BigInt(net.size - bits);
  return net.value >> shift === one.value >> shift;
}
