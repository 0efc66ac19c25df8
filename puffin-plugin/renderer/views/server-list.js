/** The saved servers, each with its light: shape, word and time of the last check. */

import { NEW } from '../state/state.js'
import { clock, light } from '../state/format.js'
import { isEditable } from './questions.js'
import { button, createKeyedList, h, setAttribute, setHidden, setText } from './dom.js'

export function createServerList(actions, questions) {
  const list = h('ul', { class: 'rllm-servers', on: { keydown: moveFocus } })
  const keyed = createKeyedList(list, item => item.key, item => createServer(item, actions, questions))
  const add = button('Add server', actions.addServer, { kind: 'primary' })
  const past = button('History', actions.openHistory)
  const empty = h('p', { class: 'rllm-hint' })
  const problems = h('ul', { class: 'rllm-plain-list' })
  const problemList = createKeyedList(problems, problem => problem.configId, () => {
    const element = h('li', { class: 'rllm-note rllm-note--error' })
    return { element, update: problem => setText(element, `${problem.configId}: ${problem.problem}`) }
  })
  const element = h('nav', { class: 'rllm-side', 'aria-label': 'Servers and history' }, h('div', { class: 'rllm-actions' }, add, past), empty, list, problems)
  let drawn = {}
  let shown = null

  return {
    element,
    /** @param {Map<string, object>} rows the questions that stand in a server's row */
    update(state, now, rows) {
      const { remoteConfigs, configProblems, view } = state
      const selected = view === 'history' ? null : state.selected
      setAttribute(past, 'aria-current', view === 'history' ? 'page' : null)
      const draft = state.drafts[NEW]
      const { phase } = state.daemon
      const ticking = rows.size > 0 || drawn.rows > 0 || remoteConfigs.some(config => config.status?.state === 'reconnecting')
      if (!ticking && drawn.remoteConfigs === remoteConfigs && drawn.selected === selected && drawn.configProblems === configProblems && drawn.draft === draft && drawn.phase === phase) return
      drawn = { remoteConfigs, selected, configProblems, draft, phase, rows: rows.size }
      const questionOf = key => rows.get(key) ?? null
      const items = remoteConfigs.map(config => ({ key: config.configId, config, selected, now, question: questionOf(config.configId) }))
      if (selected === NEW || draft?.dirty) items.push({ key: NEW, draft, selected, now, question: questionOf(NEW) })
      keyed.update(items)
      problemList.update(configProblems)
      setHidden(empty, items.length > 0)
      setText(empty, phase === 'starting' ? 'Asking …' : 'No server yet. Add one, and paste what you would type after ssh.')
      setHidden(problems, configProblems.length === 0)
      tabStop(list, selected)
      if (shown !== selected) keyed.get(selected)?.element.scrollIntoView({ block: 'nearest' })
      shown = selected
    }
  }
}

function createServer({ key }, actions, questions) {
  const place = questions.createPlace()
  const shape = h('span', { class: 'rllm-light', 'aria-hidden': 'true' })
  const name = h('span', { class: 'rllm-server-name' })
  const where = h('span', { class: 'rllm-server-where' })
  const status = h('span', { class: 'rllm-server-status' })
  const open = h('button', { type: 'button', class: 'rllm-server', 'data-key': key, on: { click: () => actions.select(key) } }, shape, h('span', { class: 'rllm-server-text' }, name, where, status))
  const element = h('li', {}, open, place.element)
  return {
    element,
    update({ config, draft, selected, now, question }) {
      place.update(question, now, () => !isEditable(document.activeElement))
      setAttribute(open, 'aria-current', selected === key ? 'true' : null)
      if (!config) {
        setText(name, draft?.ssh.host || 'New server')
        setText(where, '')
        setText(status, 'Not saved')
        setText(shape, '○')
        return
      }
      const shown = light(question ? { state: 'needs-user' } : config.status, now)
      setText(shape, shown.shape)
      setAttribute(shape, 'data-state', shown.state)
      setText(name, config.name)
      setText(where, [config.ssh.username, config.ssh.host].filter(Boolean).join('@'))
      const trust = config.trust?.state === 'untrusted' ? 'Not trusted. ' : ''
      setText(status, `${trust}${shown.text}${shown.countdown ?? ''}. Checked ${clock(config.lastCheckedAt)}`)
    }
  }
}

/** One stop of the Tab key for the whole list; arrows move inside it. */
function tabStop(list, selected) {
  const buttons = [...list.querySelectorAll('.rllm-server')]
  const stop = buttons.find(open => open.dataset.key === selected) ?? buttons[0]
  for (const open of buttons) setAttribute(open, 'tabindex', open === stop ? '0' : '-1')
}

function moveFocus(event) {
  const buttons = [...event.currentTarget.querySelectorAll('.rllm-server')]
  const at = buttons.indexOf(event.target)
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key]
  if (at < 0 || to === undefined || !buttons[to]) return
  event.preventDefault()
  buttons[to].focus()
}
