// Lines out of pieces, as cheaply as Node can: a long line is joined once, at its end.
export const lines = take => {
  let begun = []
  return piece => {
    let start = 0
    for (let end; (end = piece.indexOf('\n', start)) >= 0; start = end + 1) {
      let line = piece.slice(start, end)
      if (begun.length) {
        begun.push(line)
        line = begun.join('')
        begun = []
      }
      take(line)
    }
    if (start < piece.length) begun.push(piece.slice(start))
  }
}
