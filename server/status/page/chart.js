// A chart of the last quarter of an hour, drawn as SVG. A slider over it shows the numbers of any moment, by pointer or by keys.
import { time } from './words.js'

/**
 * @typedef {object} Series
 * @property {string} name as the class for its colour
 * @property {string} label
 * @property {(point: any) => number} value
 * @property {(value: number) => string} format
 */
/** @typedef {{ at: number }} Point */

/** What the chart may show, in minutes, with the times that are named below it: the shortest that holds all points. */
const spans = [
  [2, 1, 0],
  [5, 3, 1, 0],
  [15, 10, 5, 0],
]
const room = { top: 10, right: 10, bottom: 22, left: 38 }

export class Chart {
  #section
  #series
  #stacked
  /** @type {any[]} */
  #points = []
  #now = 0
  #minutes = spans[0] ?? [0]
  #size = { width: 0, height: 0 }
  /** The time of the point that is looked at; undefined for the last one. @type {number | undefined} */
  #moment
  #parts

  /**
   * @param {HTMLElement} section
   * @param {readonly Series[]} series
   * @param {boolean} stacked
   */
  constructor(section, series, stacked) {
    this.#section = section
    this.#series = series
    this.#stacked = stacked
    const part = (/** @type {string} */ selector) => /** @type {any} */ (section.querySelector(selector))
    /** @type {{ svg: SVGSVGElement, slider: HTMLInputElement, plot: HTMLElement, when: HTMLElement, empty: HTMLElement, legend: HTMLElement }} */
    this.#parts = {
      svg: part('svg'),
      slider: part('input'),
      plot: part('.plot'),
      when: part('.when'),
      empty: part('.empty'),
      legend: part('.legend'),
    }
    this.#parts.legend.replaceChildren(
      ...series.map(({ name, label }) => {
        const item = document.createElement('div')
        item.className = name
        const term = document.createElement('dt')
        term.append(Object.assign(document.createElement('i'), { className: 'swatch' }), label)
        item.append(term, document.createElement('dd'))
        return item
      }),
    )
    this.#listen()
    new ResizeObserver(([entry]) => {
      const { width = 0, height = 0 } = entry?.contentRect ?? {}
      this.#size = { width, height }
      this.#draw()
    }).observe(this.#parts.plot)
  }

  /**
   * @param {any[]} points oldest first
   * @param {number} now
   */
  show(points, now) {
    this.#points = points
    this.#now = now
    const age = (now - (points[0]?.at ?? now)) / 60_000
    this.#minutes = spans.find(([most = 0]) => most >= age) ?? spans.at(-1) ?? [0]
    const { slider } = this.#parts
    slider.max = String(points.length - 1)
    slider.value = String(this.#index)
    this.#draw()
  }

  #listen() {
    const { slider, plot } = this.#parts
    slider.addEventListener('input', () => this.#look(Number(slider.value)))
    for (const type of /** @type {const} */ (['pointermove', 'pointerdown'])) {
      plot.addEventListener(type, (/** @type {PointerEvent} */ { clientX }) => {
        this.#look(this.#nearest(clientX - plot.getBoundingClientRect().left))
      })
    }
    plot.addEventListener('pointerleave', () => {
      if (document.activeElement !== slider) this.#look(undefined)
    })
    slider.addEventListener('blur', () => this.#look(undefined))
    slider.addEventListener('keydown', (/** @type {KeyboardEvent} */ { key }) => {
      if (key === 'Escape') this.#look(undefined)
    })
  }

  /** The index of the point that is looked at: the last one if its moment is not in the chart any more. */
  get #index() {
    const index = this.#moment === undefined ? -1 : this.#points.findIndex(({ at }) => at === this.#moment)
    return index < 0 ? this.#points.length - 1 : index
  }

  get #isPast() {
    return this.#index < this.#points.length - 1
  }

  /** @param {number | undefined} index */
  #look(index) {
    this.#moment = index === undefined ? undefined : this.#points[index]?.at
    this.#parts.slider.value = String(this.#index)
    this.#draw()
  }

  /** @param {number} x */
  #nearest(x) {
    let best = 0
    this.#points.forEach(({ at }, index) => {
      if (Math.abs(this.#x(at) - x) < Math.abs(this.#x(this.#points[best].at) - x)) best = index
    })
    return best
  }

  /** @param {number} at */
  #x(at) {
    const { left, right } = room
    const width = this.#size.width - left - right
    return (
      left + width * (1 - Math.min(1, Math.max(0, (this.#now - at) / ((this.#minutes[0] ?? 1) * 60_000))))
    )
  }

  #draw() {
    this.#tell()
    const { width, height } = this.#size
    if (width === 0) return
    const { svg, empty } = this.#parts
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`)
    const tops = this.#points.map((point) => this.#tops(point))
    const highest = Math.max(0, ...tops.flat())
    empty.hidden = highest > 0 || this.#points.length === 0
    const limit = nice(highest)
    const base = height - room.bottom
    const y = (/** @type {number} */ value) => base - ((base - room.top) * value) / limit
    const parts = this.#axes(limit, y)
    for (const [index, { name }] of [...this.#series.entries()].reverse()) {
      const line = tops.map((top, i) => `${fixed(this.#x(this.#points[i].at))} ${fixed(y(top[index] ?? 0))}`)
      if (line.length === 0) continue
      if (this.#stacked) {
        const below = tops.map(
          (top, i) =>
            `${fixed(this.#x(this.#points[i].at))} ${fixed(y(index > 0 ? (top[index - 1] ?? 0) : 0))}`,
        )
        parts.push(
          shape('path', { class: `area ${name}`, d: `M${line.join('L')}L${below.reverse().join('L')}Z` }),
        )
      }
      if (tops.some((top) => (top[index] ?? 0) > (this.#stacked && index > 0 ? (top[index - 1] ?? 0) : 0)))
        parts.push(shape('path', { class: `line ${name}`, d: `M${line.join('L')}` }))
    }
    if (this.#isPast) {
      const x = fixed(this.#x(this.#points[this.#index].at))
      parts.push(shape('line', { class: 'cursor', x1: x, x2: x, y1: room.top, y2: base }))
    }
    svg.replaceChildren(...parts)
  }

  /** The upper edge of each series at a point. @param {any} point */
  #tops(point) {
    let sum = 0
    return this.#series.map(({ value }) => {
      sum = this.#stacked ? sum + value(point) : value(point)
      return sum
    })
  }

  /**
   * @param {number} limit
   * @param {(value: number) => number} y
   */
  #axes(limit, y) {
    const parts = []
    for (const value of [0, limit / 2, limit]) {
      const at = fixed(y(value))
      parts.push(
        shape('line', { class: 'grid', x1: room.left, x2: this.#size.width - room.right, y1: at, y2: at }),
      )
      if (!Number.isInteger(value)) continue
      const label = shape('text', { x: room.left - 8, y: Number(at) + 4, 'text-anchor': 'end' })
      label.textContent = short.format(value)
      parts.push(label)
    }
    for (const minutes of this.#minutes) {
      const anchor = minutes === this.#minutes[0] ? 'start' : minutes === 0 ? 'end' : 'middle'
      const x = this.#x(this.#now - minutes * 60_000)
      const label = shape('text', { x: fixed(x), y: this.#size.height - 5, 'text-anchor': anchor })
      label.textContent = minutes === 0 ? 'now' : `${minutes} min`
      parts.push(label)
    }
    return parts
  }

  /** The numbers of the moment that is looked at, beside the chart and for screen readers. */
  #tell() {
    const point = this.#points[this.#index]
    if (!point) return
    const { when, slider, legend } = this.#parts
    when.textContent = this.#isPast ? time(point.at) : 'now'
    this.#section.toggleAttribute('data-past', this.#isPast)
    const told = this.#series.map(({ value, format, label }, index) => {
      const text = format(value(point))
      const item = /** @type {HTMLElement} */ (legend.children[index])
      const number = /** @type {HTMLElement} */ (item.lastElementChild)
      if (number.textContent !== text) number.textContent = text
      item.toggleAttribute('data-zero', value(point) === 0)
      return `${label} ${text}`
    })
    slider.setAttribute('aria-valuetext', `${when.textContent}: ${told.join(', ')}`)
  }
}

const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

/** The next number of 2, 4, 10 and their multiples by ten: its half is as round. @param {number} value */
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)))
  const factor = [1, 2, 4, 6, 8, 10].find((one) => one * power >= value) ?? 10
  return Math.max(2, factor * power)
}

/** @param {number} value */
const fixed = (value) => value.toFixed(1)

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 */
function shape(name, attributes) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value))
  return element
}
