/** A question that must be answered before something goes on. `ConfirmHost` shows it. */
export interface Question {
  title: string;
  text: string;
  yes: string;
  no?: string;
  danger?: boolean;
  /** What must be typed first, for what cannot be undone at all. */
  type?: string;
}

interface Asked extends Question {
  answer: (yes: boolean) => void;
}

class Questions {
  current = $state.raw<Asked | null>(null);
}

export const questions = new Questions();

export function confirm(question: Question): Promise<boolean> {
  questions.current?.answer(false);
  return new Promise((resolve) => {
    questions.current = {
      ...question,
      answer: (yes) => {
        questions.current = null;
        resolve(yes);
      },
    };
  });
}
