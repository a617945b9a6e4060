/** Rows as RFC 4180 has them. */
export function csv(rows: (string | null)[][]): string {
  const cell = (value: string | null): string => {
    const text = value ?? '';
    return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  return rows.map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}
