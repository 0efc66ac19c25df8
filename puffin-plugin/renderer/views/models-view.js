/** The models of a server: what each takes, how large it is, what it can, whether it is loaded; and the default one. */

import { clock, modelCapabilities, modelContext, modelSize, serverName, visible } from '../state/format.js'
import { button, createKeyedList, h, setAttribute, setHidden, setText, uniqueId } from './dom.js'

/** Above this a list has a filter. */
const MANY = 10

const STATES = { loaded: ['●', 'loaded'], loading: ['◐', 'loading'], unloaded: ['○', 'not loaded'], unknown: ['?', 'unknown'] }

export function createModelsView(actions) {
  const group = uniqueId('default-model')
  const filterId = uniqueId('filter')
  let configId = null
  let chosen = null
  const filter = h('input', { id: filterId, type: 'text', class: 'rllm-input', autocomplete: 'off', spellcheck: 'false', on: { input: () => draw() } })
  const filterField = h('div', { class: 'rllm-field' }, h('label', { for: filterId, class: 'rllm-label' }, 'Filter'), filter)
  const rows = h('tbody', { role: 'rowgroup' })
  const table = h('table', { class: 'rllm-models', role: 'table' },
    h('caption', { class: 'rllm-visually-hidden' }, 'Models of this server'),
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, ['Default', 'Model', 'Context (tokens)', 'Size', 'Can', 'State'].map(name => h('th', { scope: 'col', role: 'columnheader' }, name)))),
    rows)
  const server = h('p', { class: 'rllm-hint' })
  const problem = h('p', { class: 'rllm-note rllm-note--error' })
  const warnings = h('ul', { class: 'rllm-plain-list' })
  const none = h('p', { class: 'rllm-hint' })
  const refresh = button('Ask again', () => actions.loadModels(configId, true), { small: true })
  const element = h('section', { class: 'rllm-section', 'aria-label': 'Models' },
    h('div', { class: 'rllm-section-head' }, h('h3', { class: 'rllm-title' }, 'Models'), refresh),
    server, problem, warnings, filterField, none, table)
  const keyed = createKeyedList(rows, model => model.id, model => createModel(model))
  let drawn = {}
  let models = []

  function createModel(model) {
    const radio = h('input', { type: 'radio', name: group, class: 'rllm-check', on: { change: () => actions.selectModel(configId, model.id) } })
    const name = h('th', { scope: 'row', role: 'rowheader', 'data-label': 'Model' })
    const cells = ['Context (tokens)', 'Size', 'Can', 'State'].map(label => h('td', { role: 'cell', 'data-label': label }))
    const [context, size, can, state] = cells
    const row = h('tr', { role: 'row' }, h('td', { role: 'cell', 'data-label': 'Default' }, radio), name, cells)
    return {
      element: row,
      update(shown) {
        const embedding = shown.capabilities?.embedding === true
        setAttribute(radio, 'aria-label', `Default model: ${shown.id}`)
        setAttribute(radio, 'disabled', embedding)
        setAttribute(radio, 'title', embedding ? 'An embedding model can’t answer prompts.' : null)
        if (radio.checked !== (shown.id === chosen)) radio.checked = shown.id === chosen
        setText(name, visible(shown.name === shown.id ? shown.id : `${shown.name} (${shown.id})`))
        setAttribute(name, 'title', shown.description)
        setText(context, modelContext(shown))
        setAttribute(context, 'title', shown.contextWindow?.source ? `According to ${shown.contextWindow.source}` : null)
        setText(size, modelSize(shown))
        setText(can, modelCapabilities(shown).join(', ') || 'text')
        setText(state, (STATES[shown.state] ?? STATES.unknown).join(' '))
      }
    }
  }

  function draw() {
    const wanted = filter.value.trim().toLowerCase()
    const shown = wanted ? models.filter(({ id, name }) => `${id} ${name}`.toLowerCase().includes(wanted)) : models
    keyed.update(shown)
    setHidden(table, shown.length === 0)
    setText(none, models.length > 0 && shown.length === 0 ? 'No model has that in its name.' : '')
    setHidden(none, none.textContent === '')
  }

  return {
    element,
    update(state, config) {
      setHidden(element, !config)
      if (!config) return
      const list = state.modelLists[config.configId]
      if (drawn.list === list && drawn.config === config) return
      if (configId !== config.configId) filter.value = ''
      drawn = { list, config }
      configId = config.configId
      chosen = config.selectedModel ?? config.llm.defaultModel ?? null
      models = list?.models ?? []
      setText(server, serverText(list, chosen))
      setText(problem, list?.error ? [list.error.message, list.error.data?.hint].filter(Boolean).join(' ') : '')
      setHidden(problem, !list?.error)
      setText(refresh, list?.models ? 'Ask again' : 'List the models')
      setAttribute(refresh, 'disabled', list?.phase === 'loading' || config.trust?.state === 'untrusted')
      warnings.replaceChildren(...(list?.warnings ?? []).map(sentence => h('li', { class: 'rllm-note rllm-note--warning' }, sentence)))
      setHidden(filterField, models.length <= MANY)
      draw()
    }
  }
}

function serverText(list, chosen) {
  if (list?.phase === 'loading') return 'Asking the server …'
  if (!list?.server) return chosen ? `Default model: ${chosen}.` : 'Connect to see which models it has.'
  return `${serverName(list.server)}, asked at ${clock(list.at)}.`
}
