/** Lets the browser save something. */
export function download(href: string, name = ''): void {
  const link = document.createElement('a');
  link.href = href;
  link.download = name;
  link.click();
}

/** A long text may come in parts. */
export function downloadText(text: string | string[], name: string, type: string): void {
  const href = URL.createObjectURL(new Blob([text].flat(), { type }));
  download(href, name);
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}
