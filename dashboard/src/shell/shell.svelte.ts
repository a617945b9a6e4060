/** What pages and the frame tell each other. */
class ShellState {
  help = $state(false);
  /** On a phone: whether the area's own list covers the page. */
  aside = $state(false);
}

export const shell = new ShellState();
