/** What a text could go on with at its caret: asked for while somebody types, walked through by keys, and taken. */
export interface Option {
  text: string;
  hint: string;
}
export interface Options {
  /** Where what an option takes the place of begins. */
  from: number;
  options: Option[];
}

/** `asked`: somebody wants to see all that could come here, and did not only type. */
export type Complete = (text: string, caret: number, asked: boolean) => Options;

type Area = HTMLInputElement | HTMLTextAreaElement;
interface Setup {
  id: string;
  area: () => Area;
  complete: () => Complete | undefined;
  /** Whether Enter takes the first one at once. Without it, nothing is chosen until an arrow key or Ctrl and space chooses. */
  eager: () => boolean;
}

const NOTHING: Options = { from: 0, options: [] };
/** The caret goes elsewhere by them, and what was proposed is for where it was. */
const MOVES = ['ArrowLeft', 'ArrowRight', 'Home', 'End', 'PageUp', 'PageDown'];

/** Written in place of what is selected, so that it can be undone. */
export function insertText(area: Area, text: string): void {
  area.focus();
  // Only this command takes part in the undoing of a field.
  if (document.execCommand('insertText', false, text)) return;
  area.setRangeText(text, area.selectionStart ?? 0, area.selectionEnd ?? 0, 'end');
  area.dispatchEvent(new InputEvent('input', { bubbles: true }));
}

export class Completion {
  found = $state.raw(NOTHING);
  chosen = $state(-1);
  readonly id: string;
  readonly listId: string;
  private isTaking = false;
  private listeners = {
    oninput: () => {
      if (!this.isTaking) this.suggest(false);
    },
    onblur: () => this.close(),
    onpointerdown: () => this.close(),
  };

  constructor(private setup: Setup) {
    this.id = setup.id;
    this.listId = `${setup.id}-list`;
  }

  get isOpen(): boolean {
    return this.found.options.length > 0;
  }

  /** What the field itself has to say and to listen to. */
  get control() {
    if (!this.setup.complete()) return {};
    return {
      'aria-autocomplete': 'list' as const,
      'aria-controls': this.listId,
      'aria-activedescendant': this.isOpen && this.chosen >= 0 ? `${this.id}-${this.chosen}` : undefined,
      ...this.listeners,
    };
  }

  suggest(asked: boolean): void {
    const area = this.setup.area();
    const caret = area.selectionStart ?? area.value.length;
    this.found = this.setup.complete()?.(area.value, caret, asked) ?? NOTHING;
    this.chosen = this.isOpen && (asked || this.setup.eager()) ? 0 : -1;
  }

  close(): void {
    this.found = NOTHING;
    this.chosen = -1;
  }

  take(option: Option): void {
    const area = this.setup.area();
    this.isTaking = true;
    area.setSelectionRange(this.found.from, area.selectionStart ?? area.value.length);
    insertText(area, option.text);
    this.isTaking = false;
    this.close();
    // What ends so is a way to something.
    if (/[.(]$/.test(option.text)) this.suggest(false);
  }

  /** Whether a key was for the list; then the field has nothing to do with it any more. */
  handles(event: KeyboardEvent): boolean {
    // A letter that is being composed (한) needs these keys itself.
    if (event.isComposing || !this.setup.complete()) return false;
    const { options } = this.found;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    const option = options[this.chosen] ?? (event.key === 'Tab' ? options[0] : undefined);
    if (event.key === ' ' && event.ctrlKey) this.suggest(true);
    else if (step && isPlain && this.isOpen) {
      const from = this.chosen < 0 && step < 0 ? 0 : this.chosen;
      this.chosen = (from + step + options.length) % options.length;
    } else if ((event.key === 'Tab' || event.key === 'Enter') && isPlain && option) this.take(option);
    else if (event.key === 'Escape' && this.isOpen) {
      // What is around it closes by the next one.
      event.stopPropagation();
      this.close();
    } else {
      if (MOVES.includes(event.key)) this.close();
      return false;
    }
    event.preventDefault();
    return true;
  }
}
