/** Models that the server says too little or the wrong thing of, or does not list at all: typed by hand. */

import { MODEL_FIELDS } from '../state/models.js'
import { button, createKeyedList, h, setAttribute, setHidden, setText } from './dom.js'
import { createField } from './field.js'

/** @param {() => string} keyOf the draft on show @param {Object<string, string>} lists ids of datalists */
export function createModelSettings(actions, keyOf, lists) {
  const rows = h('ol', { class: 'rllm-hops' })
  const hint = h('p', { class: 'rllm-hint' }, 'What stands here counts more than what the server says. Models are offered even where it lists none.')
  let focusLast = false
  const add = button('Add a model', () => {
    focusLast = true
    actions.addModel(keyOf())
  }, { small: true })
  const element = h('fieldset', { class: 'options-fieldset rllm-fieldset' }, h('legend', {}, 'Models that you know better'), hint, rows, add)
  const keyed = createKeyedList(rows, ({ row }) => row.id, ({ row }) => createRow(row.id))

  function createRow(id) {
    const fields = MODEL_FIELDS.map(field => ({ field, ...createField(field, value => actions.changeField(keyOf(), id, field.path, value), { listId: lists[field.suggestions] }) }))
    const title = h('h4', { class: 'rllm-hop-title' })
    const remove = button('Remove', () => {
      actions.removeModel(keyOf(), id)
      add.focus()
    }, { small: true })
    return {
      element: h('li', { class: 'rllm-hop' }, h('div', { class: 'rllm-hop-head' }, title, remove), h('div', { class: 'rllm-grid' }, fields.map(view => view.element))),
      update({ row: { values }, problems, last }, index) {
        const name = values.id.trim() || `model ${index + 1}`
        setText(title, `${index + 1}. ${name}`)
        setAttribute(remove, 'aria-label', `Remove: ${name}`)
        for (const { field, update } of fields) update({ value: values[field.path], problem: problems[`${id}.${field.path}`] })
        if (!focusLast || !last) return
        focusLast = false
        fields[0].control.focus()
      }
    }
  }

  return {
    element,
    update({ models }, problems) {
      setHidden(rows, models.length === 0)
      keyed.update(models.map((row, index) => ({ row, problems, last: index === models.length - 1 })))
    }
  }
}
