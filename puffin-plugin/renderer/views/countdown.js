/** How long a question waits, and which machine of the way asks. */

import { h, setText } from './dom.js'

/** The daemon's own limits, where a question does not say. */
const LIMIT_MS = { 'host-key': 90_000, default: 110_000 }

export function createCountdown(question) {
  const ends = question.expiresAt ?? question.receivedAt + (LIMIT_MS[question.kind] ?? LIMIT_MS.default)
  const element = h('span', { class: 'rllm-countdown' })
  return {
    element,
    /** @param {number} now milliseconds since the epoch */
    update(now) {
      const left = Math.ceil((ends - now) / 1000)
      setText(element, left > 0 ? `${left} s left` : 'The time is up.')
    }
  }
}

/** " Hop 2 of 3." where there is more than one machine */
export function hopText({ hop, hops }) {
  return hops > 1 ? ` Hop ${hop} of ${hops}.` : hop > 1 ? ` Hop ${hop}.` : ''
}
