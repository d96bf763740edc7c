/** In ms. */
const LATEST = 500
const SHARE = 0.3

/** Lets some sockets stay half-open for a while after the peer has ended its side. */
export function endLate(socket, random) {
  if (random() >= SHARE) return
  socket.allowHalfOpen = true
  socket.once('end', () => setTimeout(() => socket.end(), LATEST * random()))
}
