/** Markup of a record, made safe to show: known elements and attributes, and addresses that lead somewhere harmless. */
const ELEMENTS = new Set(
  'A,ABBR,B,BLOCKQUOTE,BR,CODE,DEL,DIV,EM,FIGCAPTION,FIGURE,H1,H2,H3,H4,H5,H6,HR,I,IMG,LI,MARK,OL,P,PRE,S,SMALL,SPAN,STRONG,SUB,SUP,TABLE,TBODY,TD,TFOOT,TH,THEAD,TR,U,UL'.split(','),
);
const ATTRIBUTES = new Set(['alt', 'colspan', 'dir', 'height', 'href', 'lang', 'rel', 'rowspan', 'src', 'start', 'target', 'title', 'width']);
const ADDRESS = /^(https?:|mailto:|tel:|[/#?.]|[^:]*$)/i;

export function parsed(html: string): HTMLElement {
  return new DOMParser().parseFromString(html, 'text/html').body;
}

/** The nodes that may be shown, and whether anything was left out. */
export function sanitized(html: string): { nodes: Node[]; isWhole: boolean } {
  const body = parsed(html);
  let isWhole = true;
  for (const element of [...body.querySelectorAll('*')]) {
    if (!ELEMENTS.has(element.tagName)) {
      isWhole = false;
      element.remove();
      continue;
    }
    for (const { name, value } of [...element.attributes]) {
      const isAddress = name === 'href' || name === 'src';
      if (ATTRIBUTES.has(name) && (!isAddress || ADDRESS.test(value.trim()))) continue;
      isWhole = false;
      element.removeAttribute(name);
    }
  }
  return { nodes: [...body.childNodes], isWhole };
}
