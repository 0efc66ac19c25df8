/** One message of a conversation: who, when, and what; thoughts and tools folded. Text of others is only ever text. */

import { clock, count, visible } from '../state/format.js'
import { h } from './dom.js'

/** @param {object} message of the history, its tools shortened @returns {HTMLElement} */
export function messageElement(message) {
  const { role, content, timestamp, usage, model, partial } = message
  const results = role !== 'assistant' && content.some(({ type }) => type === 'tool_result')
  const who = role === 'assistant' ? model ?? 'The model' : results ? 'Tools' : 'You'
  const cost = usage ? `${count(usage.inputTokens)} tokens in, ${count(usage.outputTokens)} out` : ''
  return h('div', { class: `rllm-message rllm-message--${role === 'assistant' ? 'model' : results ? 'tool' : 'person'}` },
    h('div', { class: 'rllm-message-head' }, h('strong', {}, visible(who)), h('span', { class: 'rllm-hint' }, [timestamp ? clock(timestamp) : '', cost].filter(Boolean).join(' · '))),
    ...(role === 'user' && !results ? personal(content) : content.map(blockElement)),
    partial ? h('p', { class: 'rllm-cut' }, '✂ cut off here') : null)
}

/** What Puffin said with the person's words is folded. */
function personal(content) {
  const texts = content.filter(({ type }) => type === 'text')
  if (texts.length < 2) return content.map(blockElement)
  const [before, words, ...after] = texts
  const more = [before, ...after].map(({ text }) => text).join('\n\n')
  return [text(words.text), folded('What Puffin said with it', more), ...content.filter(({ type }) => type !== 'text').map(blockElement)]
}

function blockElement(block) {
  switch (block.type) {
    case 'text':
      return text(block.text)
    case 'thinking':
      return folded('Thoughts', block.thinking)
    case 'tool_use':
      return folded(`Calls ${block.name}`, block.shown)
    case 'tool_result':
      return folded(block.is_error ? '✕ Result: failed' : 'Result', block.shown)
    default:
      return h('p', { class: 'rllm-hint' }, `[${visible(block.type)}]`)
  }
}

const text = words => h('div', { class: 'rllm-said' }, visible(words))

/** Its content is made when it is opened: it may be long. */
function folded(title, words) {
  const place = h('pre', { class: 'rllm-code', tabindex: '0', role: 'region', 'aria-label': visible(title) })
  const element = h('details', { class: 'rllm-folded', on: { toggle: () => { if (element.open && place.textContent === '') place.textContent = visible(words) || '(nothing)' } } }, h('summary', {}, visible(title)), place)
  return element
}
