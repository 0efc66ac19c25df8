/** What this machine has to sign in with: ssh_config, agent, key files, a known host; and what the last test used. */

import { usedBy } from '../state/found.js'
import { visible } from '../state/format.js'
import { createKeyedList, h, setAttribute, setHidden, setText, uniqueId } from './dom.js'

const SIGNS = { absent: ['○', 'not there'], found: ['◎', 'found'], used: ['●', 'used by the last test'], trouble: ['▲', 'in trouble'] }

export function createFound() {
  const pills = h('div', { class: 'rllm-pills', role: 'group', 'aria-label': 'Found on this machine' })
  const detailId = uniqueId('found')
  const detail = h('ul', { class: 'rllm-found-detail', id: detailId, hidden: true })
  const element = h('div', { class: 'rllm-found' }, pills, detail)
  let open = null
  let shown = []

  const keyed = createKeyedList(pills, pill => pill.name, ({ name }) => {
    const sign = h('span', { 'aria-hidden': 'true' })
    const text = h('span', {})
    const state = h('span', { class: 'rllm-visually-hidden' })
    const pill = h('button', { type: 'button', class: 'rllm-pill', 'aria-controls': detailId, on: { click: () => toggle(name) } }, sign, text, state)
    return {
      element: pill,
      update(item) {
        const [shape, word] = SIGNS[item.state]
        setText(sign, shape)
        setText(text, item.text)
        setText(state, `, ${word}`)
        setAttribute(pill, 'data-state', item.state)
        setAttribute(pill, 'title', word)
        setAttribute(pill, 'aria-expanded', open === item.name ? 'true' : 'false')
      }
    }
  })

  function toggle(name) {
    open = open === name ? null : name
    draw()
  }

  function draw() {
    keyed.update(shown)
    const item = shown.find(({ name }) => name === open)
    setHidden(detail, !item)
    detail.replaceChildren(...(item?.detail ?? []).map(line => h('li', {}, visible(line))))
  }

  return {
    element,
    update(found, draft, test) {
      shown = usedBy(found, draft, test)
      draw()
    }
  }
}
