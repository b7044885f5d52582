"""What is imaged, and with how many electrons: structures, imaging, the measurement schema and the store."""
