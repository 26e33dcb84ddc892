// In the browser's file a class is a function with variables: it does what the class does, and what cannot be opened is refused.
import { transformSync } from 'esbuild'
import { expect, test } from 'vitest'
import { openClasses } from '../../scripts/open-classes.mjs'

const counter = `
export class Counter<Step extends number> {
  /** How often it was asked. */
  asked = 0
  step = 'public'
  readonly label: string
  #count: number
  #step: Step
  #more = [1, 2]
  protected last = 0

  constructor(count: number, step: Step = 1 as Step, label = 'counter') {
    this.#count = count
    this.#step = step
    this.label = label + this.#step
    this.add()
  }

  get total(): number {
    if (this.step) this.asked++
    return this.#sum
  }

  set total(count: number) {
    this.#count = count
  }

  add(): this {
    this.last = this.#count += this.#step
    this.#later(() => this.#more.push(this.last))
    return this
  }

  async list(): Promise<number[]> {
    return this.#more
  }

  get #sum(): number {
    return this.#count + this.#more.length
  }

  #later(run: () => void): void {
    run()
  }
}
export const made = (count: number) => new Counter(count, 2)
`

/** What a module of this text exports. */
async function load(text: string): Promise<{ made(count: number): Record<string, unknown> }> {
  const { code } = transformSync(text, { loader: 'ts', target: 'es2022' })
  return import(`data:text/javascript,${encodeURIComponent(code)}`)
}

test('an opened class does what it did, and nothing of it is private any more', async () => {
  const opened = openClasses(counter, ['Counter']).toString()
  expect(opened).not.toMatch(/this\.|#|class|new Counter/)
  for (const text of [counter, opened]) {
    const one = (await load(text)).made(5)
    const other = (await load(text)).made(50)
    expect(one).toMatchObject({ asked: 0, label: 'counter2', step: 'public' })
    expect((one.add as () => unknown)()).toBe(one)
    expect([one.total, other.total, one.asked]).toEqual([9 + 4, 52 + 3, 1])
    one.total = 1
    expect(one.total).toBe(5)
    expect(await (one.list as () => unknown)()).toEqual([1, 2, 7, 9])
  }
})

test('other classes stay as they are', () => {
  const other = 'export class Other {\n  #a = 1\n  get a() {\n    return this.#a\n  }\n}\nnew Other()\n'
  expect(openClasses(other, ['Counter']).toString()).toBe(other)
})

test.each([
  ['it has a base class', 'class A extends Array {}'],
  ['it has more than plain members', 'class A { static #a = 1 }'],
  ['it has more than plain members', 'class A { ["a"] = 1 }'],
  ['#a has a setter', 'class A { set #a(value) {} }'],
  ['#a is used on another object', 'class A { #a = 1; same(other) { return other.#a === this.#a } }'],
  ['#a is used on another object', 'class A { #a = 1; has(other) { return #a in other } }'],
  ["'a' is read by destructuring", 'class A { protected a = 1; b() { const { a } = this; return a } }'],
  ["a function in it has a 'this' of its own", 'class A { b() { return function () { return this } } }'],
  ["a function in it has a 'this' of its own", 'class A { b() { return { c() { return this } } } }'],
  ['two members differ only by #', 'class A { #a = 1; protected a = 2 }'],
  ["it uses 'new.target'", 'class A { constructor() { new.target } }'],
  ["'this' comes before the object is there", 'class A { a = 1; #b = this.a }'],
  ['nothing is an instance of it', 'class A {}\nnew A() instanceof A'],
  ['nothing is an instance of it', 'class A {}\nclass B extends A {}'],
])('refused: %s: %s', (why, text) => {
  expect(() => openClasses(text, ['A'])).toThrow(why)
})
