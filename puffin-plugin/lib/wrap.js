'use strict'

/**
 * Puts functions before methods of an object, and takes them away again: afterwards the object is what it
 * was. Where somebody else has put theirs before ours meanwhile, ours stays below it.
 *
 * @param {object} target its methods may be on its prototype
 */
function createWrap(target) {
  const undo = []
  return {
    /**
     * @param {string} name left alone if there is no such method
     * @param {(original: Function) => Function} make gets what is there now; `this` is the target's
     */
    wrap(name, make) {
      if (typeof target[name] !== 'function') return
      const original = target[name]
      const own = Object.getOwnPropertyDescriptor(target, name)
      const ours = make(original)
      target[name] = ours
      undo.push(() => {
        if (target[name] !== ours) return
        if (own) Object.defineProperty(target, name, own)
        else delete target[name]
      })
    },
    restore() {
      while (undo.length > 0) undo.pop()()
    }
  }
}

module.exports = { createWrap }
