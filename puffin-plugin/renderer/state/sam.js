/**
 * The SAM step: a proposal goes through the acceptors, then the next-action predicates see what
 * changed, then the state is rendered. Acceptors are pure: they give a new state or the old one.
 */

/**
 * @typedef {{type: string}} Proposal what an action wants; the acceptors decide
 * @typedef {(state: object, proposal: object) => object} Acceptor
 */

/**
 * @param {object} options
 * @param {object} options.initialState
 * @param {Object<string, Acceptor>} options.acceptors by proposal type
 * @param {Array<(state: object, previous: object, proposal: object) => void>} [options.nextActions]
 *   called after each accepted proposal; they may start actions, whose proposals wait their turn
 * @param {(state: object) => void} [options.render] called once for all that was presented together
 */
export function createInstance({ initialState, acceptors, nextActions = [], render = () => {} }) {
  let state = initialState
  const waiting = []
  let stepping = false

  function step(proposal) {
    const accept = Object.hasOwn(acceptors, proposal.type) && acceptors[proposal.type]
    if (!accept) return
    const previous = state
    state = accept(previous, proposal)
    for (const nextAction of nextActions) nextAction(state, previous, proposal)
  }

  function drain() {
    stepping = true
    const before = state
    try {
      while (waiting.length > 0) step(waiting.shift())
    } finally {
      stepping = false
    }
    if (state !== before) render(state)
  }

  return {
    /** @param {...Proposal} proposals taken in order, rendered once */
    present(...proposals) {
      waiting.push(...proposals)
      if (!stepping) drain()
    },
    state: () => state
  }
}

/** Puts several rooms' acceptors together. @param {...Object<string, Acceptor>} rooms */
export function combineAcceptors(...rooms) {
  const all = {}
  for (const room of rooms) {
    for (const [type, accept] of Object.entries(room)) {
      const first = all[type]
      all[type] = first ? (state, proposal) => accept(first(state, proposal), proposal) : accept
    }
  }
  return all
}
