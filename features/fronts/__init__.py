"""Fronts: events of one kind in, rows of the grid out.

A front is handed events in the order in which they came and is asked for rows ``[first, stop)`` once nothing more of
them is expected. Row ``slot`` tells what happened in ``[slot, slot + 1) * bar_s`` since 1970, and what stood at its
end. What comes for a row that was given out already changes nothing in it and is counted.
"""
