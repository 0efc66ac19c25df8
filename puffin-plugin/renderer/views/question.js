/** Whatever the way to a machine asks of a person. */

import { createCountdown } from './countdown.js'
import { createHostKey } from './host-key.js'
import { createSignIn } from './sign-in.js'

export function createQuestion(question, actions) {
  const countdown = createCountdown(question)
  return question.kind === 'host-key' ? createHostKey(question, actions, countdown) : createSignIn(question, actions, countdown)
}
