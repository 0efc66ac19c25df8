/**
 * The page's half of the plugin. Puffin imports this file when a project opens, whether the view is
 * shown or not: the top level starts the event loop, the model picker and the overlay.
 */

import { PLUGIN } from './ipc.js'
import { createPicker } from './picker.js'
import { createSession } from './session.js'
import { createOverlay } from './views/overlay.js'
import { createPanel } from './views/panel.js'
import { createQuestions } from './views/questions.js'

const TICK_MS = 1000

/** Everything that lives as long as the plugin is enabled, with or without a view. */
function createPage() {
  const session = createSession({ invoke: (...args) => window.puffin.plugins.invoke(...args), pace: nextFrame })
  const picker = createPicker({
    document,
    storage: window.localStorage,
    // Main routes by it where Puffin changes the model on the way; an older main half does not know it.
    onPicked: value => session.call('set-picked-model', { value }).catch(() => {})
  })
  let panel = null
  let drawing = false
  let ticking = null
  let stopWatching = null
  const questions = createQuestions(session.actions)
  const overlay = createOverlay(session.actions, questions)

  /** At most once a frame, however much comes in. */
  function draw() {
    if (drawing) return
    drawing = true
    requestAnimationFrame(() => {
      drawing = false
      const state = session.sam.state()
      const now = Date.now()
      const shown = panel !== null && panel.element.offsetParent !== null
      questions.prune(state.questions)
      panel?.update(state, now, shown)
      overlay.update(state, now, shown)
      tickWhile(state.questions.length > 0 || state.remoteConfigs.some(config => config.status?.state === 'reconnecting'))
    })
  }

  /** Countdowns move once a second, and only while there is one. */
  function tickWhile(needed) {
    if (needed && ticking === null) ticking = setInterval(draw, TICK_MS)
    if (!needed && ticking !== null) {
      clearInterval(ticking)
      ticking = null
    }
  }

  return {
    session,
    questions,
    start() {
      if (stopWatching) return
      document.body.append(overlay.element)
      picker.start()
      picker.update(session.sam.state())
      let models = null
      const stop = session.subscribe(state => {
        // A stream changes the state often, and the picker never.
        if (models?.remoteConfigs !== state.remoteConfigs || models?.modelLists !== state.modelLists) picker.update(state)
        models = state
        draw()
      })
      session.start()
      stopWatching = stop
    },
    stop() {
      stopWatching?.()
      stopWatching = null
      session.stop()
      picker.stop()
      overlay.element.remove()
      tickWhile(false)
    },
    show(shown) {
      panel = shown
      draw()
    }
  }
}

/** A page that draws takes events once a frame; one that is hidden does not wait for frames. */
function nextFrame() {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, 100)
    requestAnimationFrame(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}

const page = createPage()
page.start()

// The module is imported once for the life of the page: disabling and enabling again happens here.
window.puffin?.plugins?.onPluginDeactivated?.(({ name }) => name === PLUGIN && page.stop())
window.puffin?.plugins?.onPluginActivated?.(({ name }) => name === PLUGIN && page.start())

/** The view in Puffin's navigation. */
export class RemoteLLMSettings {
  /** @param {HTMLElement} wrapper */
  constructor(wrapper) {
    this.wrapper = wrapper
    this.panel = null
  }

  async init() {
    this.panel = createPanel(page.session, page.questions)
    this.wrapper.append(this.panel.element)
    page.show(this.panel)
  }

  onActivate() {
    page.show(this.panel)
  }

  /** Nothing is drawn that nobody sees. */
  onDeactivate() {
    page.show(null)
  }

  onDestroy() {
    page.show(null)
    this.wrapper.replaceChildren()
    this.panel = null
  }
}
