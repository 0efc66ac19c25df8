/** A connection test as a list that fills; a question stands in the row that needs it. */

import { duration, stageName, stageStatus, visible } from '../state/format.js'
import { rowOf, verdictOf } from '../state/test-acceptors.js'
import { reportOf } from '../state/report.js'
import { button, createKeyedList, h, setAttribute, setHidden, setText } from './dom.js'
import { createReport } from './report-view.js'

export function createTestView(actions, questions) {
  let key = null
  const list = h('ol', { class: 'rllm-stages' })
  const verdict = h('p', { class: 'rllm-verdict', role: 'status' })
  const cancel = button('Cancel the test', () => actions.cancelTest(key), { small: true })
  const report = createReport(actions)
  const warnings = h('ul', { class: 'rllm-plain-list' })
  const element = h('section', { class: 'rllm-section', 'aria-label': 'Connection test', hidden: true },
    h('h3', { class: 'rllm-title' }, 'Connection test'), list, verdict, warnings, h('div', { class: 'rllm-actions' }, cancel, report.open), report.element)
  const keyed = createKeyedList(list, ({ stage }) => `${stage.name} ${stage.hop ?? ''}`, () => createStage(questions))
  let drawn = {}

  return {
    element,
    /** @param {object|null} question the one that stands in a row of the test on show */
    update(state, now, question) {
      key = state.selected
      const test = state.tests[key]
      setHidden(element, !test)
      if (!test) return
      if (drawn.test === test && drawn.question === question && !question) return
      drawn = { test, question }
      const row = question ? rowOf(state, question).index : -1
      const severalHops = test.stages.some(({ hop }) => hop > 1)
      keyed.update(test.stages.map((stage, index) => ({ stage, severalHops, question: index === row ? question : null, now })))
      const host = state.drafts[key]?.ssh.host.trim() ?? ''
      setText(verdict, verdictOf(test, host))
      setAttribute(verdict, 'data-state', test.running ? 'running' : test.error || !test.result?.success ? 'failed' : 'passed')
      setHidden(cancel, !test.running)
      warnings.replaceChildren(...(test.result?.warnings ?? []).map(sentence => h('li', { class: 'rllm-note rllm-note--warning' }, sentence)))
      report.update(test.running ? null : reportOf(test, state.drafts[key], state.daemon.versions))
    }
  }
}

function createStage(questions) {
  const sign = h('span', { class: 'rllm-light', 'aria-hidden': 'true' })
  const name = h('span', { class: 'rllm-stage-name' })
  const word = h('span', { class: 'rllm-stage-word' })
  const detail = h('p', { class: 'rllm-stage-detail' })
  const fix = h('p', { class: 'rllm-stage-fix' })
  const place = questions.createPlace()
  const element = h('li', { class: 'rllm-stage' }, sign, h('div', { class: 'rllm-stage-text' }, h('div', {}, name, ' ', word), detail, fix, place.element))

  return {
    element,
    update({ stage, severalHops, question, now }) {
      const [shape, text] = stageStatus(stage.status)
      setText(sign, shape)
      setAttribute(element, 'data-state', stage.status)
      setAttribute(sign, 'data-state', stage.status)
      setText(name, `${stageName(stage.name)}${stage.hop && severalHops ? ` (hop ${stage.hop})` : ''}`)
      setText(word, [question ? 'needs you' : text, duration(stage.durationMs)].filter(Boolean).join(', '))
      setText(detail, visible(stage.error?.message ?? stage.detail ?? ''))
      setHidden(detail, detail.textContent === '')
      setText(fix, stage.error?.data?.hint ? `What helps: ${visible(stage.error.data.hint)}` : '')
      setHidden(fix, fix.textContent === '')
      place.update(question, now)
    }
  }
}
