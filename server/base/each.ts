/** Calls `run` for each value, with `atOnce` calls at a time. Ends with the first call that fails. */
export async function each<Value>(
  values: Iterable<Value>,
  atOnce: number,
  run: (value: Value) => Promise<void>,
): Promise<void> {
  const iterator = values[Symbol.iterator]()
  const one = async (): Promise<void> => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) await run(next.value)
  }
  await Promise.all(Array.from({ length: atOnce }, one))
}
